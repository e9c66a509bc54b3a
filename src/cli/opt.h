/*
 * Options as tables: one row per option, read with the rules of pflag, which docker's commands have (-it,
 * -eA=1, -e A=1, --name=x, --name x,
 * --rm=false, repeated options, "--"). A row that has a path puts its value there in `body`, so that the body
 * of an API request is filled straight from the table; `given` holds every option of the command line under
 * its long name.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct opt;
struct opts;

/* What an option's value is: its name in --help and how it is read. set() gets "true" for a flag without a
 * value. */
struct opt_type {
	const char *arg; /* "list"; "" for a flag, which needs no value */
	int (*set)(struct opts *p, const struct opt *o, const char *value, struct err *e);
};

struct opt {
	const char *name; /* long name; NULL ends the table */
	char letter;      /* or 0 */
	const struct opt_type *type;
	const char *path;    /* "HostConfig.Memory", or NULL */
	const char *help;    /* one sentence without a full stop; NULL: an old name, or a refused one, not shown */
	const char *refused; /* why there is no such option here, though docker has it; NULL: there is */
};

enum { OPT_TABLES = 4 };

struct opts {
	const struct opt *tables[OPT_TABLES];
	json_t *given, *body;
	char **args; /* what is not an option; the strings are argv's */
	int args_len;
	bool help;
	bool stop; /* options end at the first argument; a set function may say so */
};

/* Reads argv (without the command's name). With `stop` the options end at the first argument. -EINVAL with
 * pflag's text in *e; opts_done always. */
int opts_parse(struct opts *p, const struct opt *const tables[], char *argv[], bool stop, struct err *e);
void opts_done(struct opts *p);

bool opts_given(const struct opts *p, const char *name);
const char *opts_str(const struct opts *p, const char *name); /* NULL: not given */
bool opts_flag(const struct opts *p, const char *name);
int64_t opts_int(const struct opts *p, const char *name, int64_t dflt);
json_t *opts_get(const struct opts *p, const char *name); /* borrowed or NULL */

/* For set functions: stores a value (stolen), appends to a list, or sets one key of a map. */
int opts_put(struct opts *p, const struct opt *o, json_t *value, struct err *e);
int opts_append(struct opts *p, const struct opt *o, json_t *value, struct err *e);
int opts_put_key(struct opts *p, const struct opt *o, const char *key, json_t *value, struct err *e);
/* Sets "A.B.C" in an object, making the objects on the way; steals value. */
int json_put_path(json_t *root, const char *path, json_t *value);
/* The next of the fields that commas separate; in double quotes a comma is none and "" a quote. *s moves
 * behind it, to NULL after the last one. The caller frees *ret. -EINVAL. */
int opt_field(const char **s, char **ret, struct err *e);

/* Plain values (opt-types.c). */
extern const struct opt_type opt_bool, opt_string, opt_list, opt_strings, opt_int, opt_bytes, opt_bytes_or_unlimited;
extern const struct opt_type opt_duration, opt_cpus, opt_env, opt_label, opt_map, opt_filter;
/* What containers take (opt-container.c, opt-mount.c). */
extern const struct opt_type opt_ulimit, opt_device, opt_volume, opt_tmpfs, opt_attach, opt_path, opt_restart,
	opt_mount;
/* Limits (opt-limits.c); a table of those that can be changed later, which run, create and update share. */
extern const struct opt_type opt_uint16, opt_swappiness, opt_sysctl, opt_weight_device, opt_bps, opt_iops;
extern const struct opt resource_options[];
/* What is about networks (opt-network.c). */
extern const struct opt_type opt_network, opt_network_alias, opt_network_policy, opt_dns, opt_dns_search, opt_add_host;
