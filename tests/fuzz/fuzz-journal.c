/* Any bytes as the journal of events: a line is left out, or is an event with all that whoever prints it relies on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/events.h"
#include "store/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(char *line, size_t n)
{
	const char *text;
	int64_t ns;

	if (journal_parse(line, n, &ns, &text) < 0)
		return;
	_cleanup_json_ json_t *m = event_message(ns, text);
	if (m &&
		(!json_str(m, "Type") || !json_str(m, "Action") || !json_is_string(json_path(m, "Actor.ID")) ||
			!json_is_object(json_path(m, "Actor.Attributes")) || json_int(m, "timeNano", -1) != ns))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf b = {0};

	if (buf_add(&b, data, size) < 0 || buf_add(&b, "\n", 1) < 0)
		return 0;
	for (char *at = b.data, *end; (end = memchr(at, '\n', (size_t)(b.data + b.len - at))); at = end + 1) {
		*end = 0;
		take(at, (size_t)(end - at));
	}
	return 0;
}
