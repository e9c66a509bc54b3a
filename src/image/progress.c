/* Progress lines as docker prints them. */
#include "image/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum { BAR = 50, REDRAW_MS = 100 };

struct line {
	char id[13];
	const char *state;
};

struct progress {
	FILE *out;
	bool terminal;
	uint64_t drawn_ms;
	size_t n;
	struct line lines[];
};

void progress_say(FILE *out, const char *fmt, ...)
{
	va_list ap;

	if (!out)
		return;
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fflush(out);
}

int progress_new(FILE *out, size_t n_lines, struct progress **ret)
{
	struct progress *p = calloc(1, sizeof(*p) + n_lines * sizeof(p->lines[0]));

	if (!p)
		return -ENOMEM;
	p->out = out;
	p->terminal = out && isatty(fileno(out));
	p->n = n_lines;
	for (size_t i = 0; p->terminal && i < n_lines; i++)
		fputc('\n', out);
	*ret = p;
	return 0;
}

void progress_id(struct progress *p, size_t line, const char *digest)
{
	snprintf(p->lines[line].id, sizeof(p->lines[line].id), "%.12s", digest + strlen("sha256:"));
}

static void print_bar(FILE *out, uint64_t done, uint64_t total)
{
	char now[16], all[16];
	int filled = (int)(done >= total ? BAR : done * BAR / total);

	fprintf(out, " [");
	for (int i = 0; i < BAR; i++)
		fputc(i < filled ? '=' : i == filled ? '>' : ' ', out);
	fprintf(out, "]  %s/%s", human_size((double)done, now), human_size((double)total, all));
}

void progress_set(struct progress *p, size_t line, const char *state, uint64_t done, uint64_t total)
{
	struct line *l = &p->lines[line];
	bool changed = !l->state || strcmp(l->state, state) != 0;

	if (!p->out || (!changed && !p->terminal))
		return;
	if (!changed && clock_mono_ms() - p->drawn_ms < REDRAW_MS)
		return;
	l->state = state;
	p->drawn_ms = clock_mono_ms();
	if (!p->terminal) {
		fprintf(p->out, "%s: %s\n", l->id, state);
		fflush(p->out);
		return;
	}
	size_t up = p->n - line;
	fprintf(p->out, "\033[%zuA\r\033[2K%s: %s", up, l->id, state);
	if (total)
		print_bar(p->out, done, total);
	fprintf(p->out, "\033[%zuB\r", up);
	fflush(p->out);
}

void progress_free(struct progress *p)
{
	free(p);
}
