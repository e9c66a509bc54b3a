/* The engine's tables, listed once, and what in them names the container. */
#include <stdio.h>
#include <string.h>

#include "audit/audit-private.h"
#include "audit/nft.h"

void tables_load(struct audit *a)
{
	struct tables *t = &a->tables;

	if (t->loaded)
		return;
	t->loaded = true;
	t->inet_error = nft_table("inet", &t->inet, &t->inet_why);
	t->bridge_error = nft_table("bridge", &t->bridge, &t->bridge_why);
}

void tables_done(struct tables *t)
{
	json_decref(t->inet);
	json_decref(t->bridge);
}

void without_prefix(const char *address, char ret[ADDRESS_TEXT])
{
	snprintf(ret, ADDRESS_TEXT, "%.*s", (int)strcspn(address, "/"), address);
}

static bool names_interface(const struct plan_interface *f, const json_t *element)
{
	char address[ADDRESS_TEXT];

	if (nft_element_names(element, f->port) || nft_element_names(element, f->mac) ||
		nft_element_names(element, f->bridge))
		return true;
	strv_foreach(s, f->addresses) {
		without_prefix(s, address);
		if (nft_element_names(element, address))
			return true;
	}
	return false;
}

static bool names_target(const struct audit_target *t, const json_t *element)
{
	for (size_t i = 0; i < t->interfaces_len; i++)
		if (names_interface(&t->interfaces[i], element))
			return true;
	return false;
}

size_t note_elements(struct audit *a, struct finding *f, const char *family, const json_t *table, const char *set)
{
	const json_t *element;
	bool there;
	size_t i, n = 0;

	json_array_foreach(nft_elements(table, set, &there), i, element) {
		_cleanup_buf_ struct buf text = {0};
		if (!names_target(a->target, element) || nft_element_text(element, &text) < 0)
			continue;
		finding_note(f, "%s %s: %s", family, set, text.data ? text.data : "");
		n++;
	}
	return n;
}

bool tables_publish(struct audit *a, const char *address, bool udp, uint16_t port)
{
	const json_t *element;
	bool there;
	size_t i;

	tables_load(a);
	_cleanup_free_ char *wanted = str_fmt("%s . %s . %u", address, udp ? "udp" : "tcp", port);
	json_array_foreach(nft_elements(a->tables.inet, strchr(address, ':') ? "open6" : "open4", &there), i, element) {
		_cleanup_buf_ struct buf text = {0};
		if (wanted && nft_element_text(element, &text) == 0 && text.data && !strcmp(text.data, wanted))
			return true;
	}
	return false;
}
