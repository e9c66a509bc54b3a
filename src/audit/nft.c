/* nft's JSON. */
#include "audit/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/proc.h"

#define TABLE "caisson"

static int list(char *const argv[], const char *what, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	int r = proc_run(argv, &out, e);

	if (r == -ENOENT)
		return err_set(e, EOPNOTSUPP, "%s is not installed", argv[0]);
	if (r < 0)
		return r;
	if (r && out.data && strstr(out.data, "No such file or directory"))
		return err_set(e, ENOENT, "there is no %s", what);
	if (r)
		return err_set(e, EIO, "%s cannot be listed: %.*s", what, (int)strcspn(out.data ? out.data : "", "\n"),
			out.data ? out.data : "");
	_cleanup_json_ json_t *all = json_parse(out.data ? out.data : "", out.len, what, e);
	json_t *objects = json_object_get(all, "nftables");
	if (!json_is_array(objects))
		return all ? err_set(e, EBADMSG, "%s: nft's answer makes no sense", what) : -e->code;
	*ret = json_incref(objects);
	return 0;
}

int nft_table(const char *family, json_t **ret, struct err *e)
{
	_cleanup_free_ char *what = str_fmt("table %s " TABLE, family);
	char *argv[] = {"nft", "-j", "list", "table", (char *)family, TABLE, NULL};

	return what ? list(argv, what, ret, e) : err_nomem(e);
}

int nft_table_of_file(const char *family, const char *file, json_t **ret, struct err *e)
{
	static char script[] = "nft -f \"$1\" && exec nft -j list table \"$2\" " TABLE;
	char *argv[] = {"unshare", "--net", "sh", "-c", script, "sh", (char *)file, (char *)family, NULL};

	return list(argv, file, ret, e);
}

const json_t *nft_elements(const json_t *table, const char *set, bool *ret_there)
{
	size_t i;
	json_t *o;

	json_array_foreach(table, i, o) {
		const json_t *s = json_object_get(o, "set");
		if (!s)
			s = json_object_get(o, "map");
		const char *name = json_str(s, "name");
		if (!name || strcmp(name, set) != 0)
			continue;
		*ret_there = true;
		return json_object_get(s, "elem");
	}
	*ret_there = false;
	return NULL;
}

/* What a part of an element holds below names that say nothing to a reader. */
static const json_t *inner(const json_t *v)
{
	static const char *const names[] = {"concat", "elem", "val", "prefix", "range"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_object_get(v, names[i]))
			return json_object_get(v, names[i]);
	return NULL;
}

/* A pair of an array is a key and its value; an array of "concat" has parts. */
static int add_text(const json_t *v, const char *between, struct buf *b)
{
	size_t i;
	json_t *part;
	int r = 0;

	if (json_is_string(v))
		return buf_adds(b, json_string_value(v));
	if (json_is_integer(v))
		return buf_addf(b, "%lld", (long long)json_integer_value(v));
	if (json_is_array(v)) {
		json_array_foreach(v, i, part) {
			if (r == 0 && i)
				r = buf_adds(b, between);
			if (r == 0)
				r = add_text(part, " . ", b);
		}
		return r;
	}
	if (json_object_get(v, "addr"))
		return buf_addf(
			b, "%s/%lld", json_str(v, "addr") ? json_str(v, "addr") : "", (long long)json_int(v, "len", 0));
	return inner(v) ? add_text(inner(v), " . ", b) : 0;
}

int nft_element_text(const json_t *element, struct buf *b)
{
	return add_text(element, " : ", b);
}

bool nft_element_names(const json_t *element, const char *word)
{
	size_t i;
	json_t *part;

	if (json_is_string(element))
		return !strcmp(json_string_value(element), word);
	json_array_foreach(element, i, part) {
		if (nft_element_names(part, word))
			return true;
	}
	return inner(element) && nft_element_names(inner(element), word);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The members of an anonymous set come in any order. */
static json_t *sorted(json_t *array)
{
	_cleanup_strv_ char **texts = NULL;
	json_t *result = json_array(), *v;
	size_t i;

	json_array_foreach(array, i, v) {
		_cleanup_free_ char *text = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
		if (text)
			strv_push(&texts, text);
	}
	if (texts)
		qsort(texts, strv_len(texts), sizeof(*texts), compare_texts);
	strv_foreach(s, texts)
		json_array_append_new(result, json_string(s));
	return result;
}

static void normalise(json_t *v)
{
	const char *key;
	json_t *part;
	void *next;
	size_t i;

	json_array_foreach(v, i, part)
		normalise(part);
	json_object_foreach_safe(v, next, key, part)
	{
		normalise(part);
		if (!strcmp(key, "set") && json_is_array(part))
			json_object_set_new(v, key, sorted(part));
	}
}

static int add_chain(const json_t *c, char ***ret)
{
	const char *name = json_str(c, "name"), *type = json_str(c, "type"), *hook = json_str(c, "hook"),
		   *policy = json_str(c, "policy");

	return strv_pushf(ret, "chain %s %s %s %lld %s", name ? name : "?", type ? type : "", hook ? hook : "",
		(long long)json_int(c, "prio", 0), policy ? policy : "");
}

static int add_rule(const json_t *rule, char ***ret)
{
	_cleanup_json_ json_t *expr = json_deep_copy(json_object_get(rule, "expr"));
	const char *chain = json_str(rule, "chain");

	normalise(expr);
	_cleanup_free_ char *text = json_dumps(expr, JSON_SORT_KEYS | JSON_COMPACT);
	return strv_pushf(ret, "chain %s: %s", chain ? chain : "?", text ? text : "");
}

char **nft_rules(const json_t *table)
{
	char **rules = NULL;
	size_t i;
	json_t *o;
	int r = 0;

	json_array_foreach(table, i, o) {
		if (r == 0 && json_object_get(o, "chain"))
			r = add_chain(json_object_get(o, "chain"), &rules);
		if (r == 0 && json_object_get(o, "rule"))
			r = add_rule(json_object_get(o, "rule"), &rules);
	}
	if (r == 0)
		return rules;
	strv_free(rules);
	return NULL;
}
