/* Names of containers: what is allowed, and made-up ones. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/proc.h"
#include "engine/engine-private.h"

static const char *const adjectives[] = {"airy", "ample", "apt", "azure", "brave", "brisk", "broad", "calm", "candid",
	"clear", "clever", "cosy", "crisp", "deft", "dry", "eager", "early", "even", "fair", "fast", "fine", "firm",
	"fleet", "fond", "free", "fresh", "gentle", "glad", "golden", "grand", "hale", "handy", "hardy", "honest",
	"jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "neat", "nimble", "noble",
	"open", "plain", "polite", "proud", "quick", "quiet", "rapid", "ready", "rosy", "royal", "sharp", "shiny",
	"smart", "snug", "sober", "solid", "steady", "stout", "sunny", "swift", "tidy", "trusty", "vivid", "warm",
	"wise", "witty", "zesty"};

/* bridges, and those who built them or worked below water */
static const char *const surnames[] = {"ammann", "arrol", "baker", "bazalgette", "bell", "brassey", "brunel",
	"calatrava", "cooper", "cousteau", "cubitt", "davies", "eads", "eiffel", "ellet", "fowler", "freyssinet",
	"gagnan", "halley", "hodgkinson", "jessop", "jolliffe", "leonhardt", "locke", "maillart", "menn", "mitchell",
	"modjeski", "morandi", "moreno", "navier", "paine", "perronet", "rennie", "roebling", "seguin", "siebe",
	"smeaton", "steinman", "stephenson", "strauss", "telford", "torroja", "triger", "vignoles", "wernwag"};

enum { NAME_LONGEST = 255 };

int name_check_length(const char *what, const char *name, struct err *e)
{
	size_t n = strlen(name);

	return n <= NAME_LONGEST
		? 0
		: err_set(e, EINVAL, "the %s name %.40s... is too long: it has %zu characters, at most %d are allowed",
			  what, name, n, NAME_LONGEST);
}

bool name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 2 || n > NAME_LONGEST || !isalnum((unsigned char)*name))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return false;
	return true;
}

int name_generate(char ret[64])
{
	uint16_t r[3];
	int k = random_bytes(r, sizeof(r));

	if (k < 0)
		return k;
	snprintf(ret, 64, "%s_%s%u", adjectives[r[0] % (sizeof(adjectives) / sizeof(*adjectives))],
		surnames[r[1] % (sizeof(surnames) / sizeof(*surnames))], r[2] % 1000u);
	return 0;
}
