/* Networks and endpoints in the database. */
#include "store/networks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/db.h"

const char networks_schema[] =
	"CREATE TABLE networks ("
	"id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, bridge TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,"
	"subnet4 TEXT NOT NULL, gateway4 TEXT NOT NULL, range4 TEXT NOT NULL,"
	"subnet6 TEXT NOT NULL, gateway6 TEXT NOT NULL, range6 TEXT NOT NULL,"
	"mtu INTEGER NOT NULL, internal INTEGER NOT NULL, isolated INTEGER NOT NULL, chosen INTEGER NOT NULL,"
	"labels TEXT NOT NULL, options TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE endpoints ("
	"container TEXT NOT NULL, network TEXT NOT NULL REFERENCES networks (id), position INTEGER NOT NULL,"
	"port TEXT NOT NULL UNIQUE, mac TEXT NOT NULL, address4 TEXT, address6 TEXT, aliases TEXT NOT NULL,"
	"closed INTEGER NOT NULL, PRIMARY KEY (container, network),"
	/* NULL for none, as NULLs are distinct */
	"UNIQUE (network, address4), UNIQUE (network, address6), UNIQUE (network, mac),"
	/* inside, an interface is known by it */
	"UNIQUE (container, mac)) WITHOUT ROWID;";

#define NETWORK                                                                                                      \
	"id, name, bridge, created, subnet4, gateway4, range4, subnet6, gateway6, range6, mtu, internal, isolated, " \
	"chosen, labels, options"
#define ENDPOINT "container, network, position, port, mac, address4, address6, aliases, closed"

void network_row_done(struct network_row *r)
{
	free(r->name);
	free(r->subnet4);
	free(r->gateway4);
	free(r->range4);
	free(r->subnet6);
	free(r->gateway6);
	free(r->range6);
	free(r->labels);
	free(r->options);
	*r = (struct network_row){0};
}

void endpoint_row_done(struct endpoint_row *r)
{
	free(r->container);
	free(r->address4);
	free(r->address6);
	free(r->aliases);
	*r = (struct endpoint_row){0};
}

static int read_network(struct stmt *s, struct network_row *r, struct err *e)
{
	*r = (struct network_row){
		.name = stmt_dup(s, 1),
		.created_ns = stmt_int(s, 3),
		.subnet4 = stmt_dup(s, 4),
		.gateway4 = stmt_dup(s, 5),
		.range4 = stmt_dup(s, 6),
		.subnet6 = stmt_dup(s, 7),
		.gateway6 = stmt_dup(s, 8),
		.range6 = stmt_dup(s, 9),
		.mtu = (uint32_t)stmt_int(s, 10),
		.internal = stmt_int(s, 11),
		.isolated = stmt_int(s, 12),
		.chosen = stmt_int(s, 13),
		.labels = stmt_dup(s, 14),
		.options = stmt_dup(s, 15),
	};
	snprintf(r->id, sizeof(r->id), "%s", stmt_str(s, 0));
	snprintf(r->bridge, sizeof(r->bridge), "%s", stmt_str(s, 2));
	if (r->name && r->subnet4 && r->gateway4 && r->range4 && r->subnet6 && r->gateway6 && r->range6 && r->labels &&
		r->options)
		return 0;
	network_row_done(r);
	return err_nomem(e);
}

static int read_endpoint(struct stmt *s, struct endpoint_row *r, struct err *e)
{
	*r = (struct endpoint_row){
		.container = stmt_dup(s, 0),
		.position = (int)stmt_int(s, 2),
		.address4 = stmt_dup(s, 5),
		.address6 = stmt_dup(s, 6),
		.aliases = stmt_dup(s, 7),
		.closed = stmt_int(s, 8),
	};
	snprintf(r->network, sizeof(r->network), "%s", stmt_str(s, 1));
	snprintf(r->port, sizeof(r->port), "%s", stmt_str(s, 3));
	snprintf(r->mac, sizeof(r->mac), "%s", stmt_str(s, 4));
	if (r->container && r->address4 && r->address6 && r->aliases)
		return 0;
	endpoint_row_done(r);
	return err_nomem(e);
}

int networks_insert(struct db *d, const struct network_row *r, struct err *e)
{
	int k = db_exec(d, e, "INSERT INTO networks (" NETWORK ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"sssissssssiiiiss", r->id, r->name, r->bridge, r->created_ns, r->subnet4, r->gateway4, r->range4,
		r->subnet6, r->gateway6, r->range6, (int64_t)r->mtu, (int64_t)r->internal, (int64_t)r->isolated,
		(int64_t)r->chosen, r->labels, r->options);

	if (k == -EEXIST)
		return err_set(e, EEXIST, "network with name %s already exists", r->name);
	return k < 0 ? k : 0;
}

static int read_found(struct stmt *s, void *row, struct err *e)
{
	return read_network(s, row, e);
}

static void drop_found(void *row)
{
	network_row_done(row);
}

int networks_find(struct db *d, const char *ref, struct network_row *ret, struct err *e)
{
	static const char *const queries[DB_FIND_QUERIES] = {
		"SELECT " NETWORK " FROM networks WHERE name = ?1",
		"SELECT " NETWORK " FROM networks WHERE id = ?1",
		"SELECT " NETWORK " FROM networks WHERE " DB_ID_BEGINS,
	};
	int r = db_find(d, queries, ref, read_found, drop_found, ret, e);

	return r == -ENOTUNIQ  ? err_set(e, ENOTUNIQ, "network %s is ambiguous (2 matches found on ID prefix)", ref)
		: r == -ENOENT ? err_set(e, ENOENT, "network %s not found", ref)
			       : r;
}

int networks_delete(struct db *d, const char *id, struct err *e)
{
	return db_exec(d, e, "DELETE FROM networks WHERE id = ?", "s", id);
}

int networks_each(struct db *d, network_fn *fn, void *data, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT " NETWORK " FROM networks ORDER BY created", "");

	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		_cleanup_(network_row_done) struct network_row row = {0};
		r = read_network(s, &row, e);
		if (r == 0)
			r = fn(data, &row, e);
	}
	return r < 0 ? r : 0;
}

static const char *or_null(const char *s)
{
	return s && *s ? s : NULL;
}

int endpoints_insert(struct db *d, const struct endpoint_row *r, struct err *e)
{
	int k = db_exec(d, e, "INSERT INTO endpoints (" ENDPOINT ") VALUES (?,?,?,?,?,?,?,?,?)", "ssisssssi",
		r->container, r->network, (int64_t)r->position, r->port, r->mac, or_null(r->address4),
		or_null(r->address6), r->aliases, (int64_t)r->closed);

	return k < 0 ? k : 0;
}

int endpoints_delete(struct db *d, const char *container, const char *network, struct err *e)
{
	return network
		? db_exec(d, e, "DELETE FROM endpoints WHERE container = ? AND network = ?", "ss", container, network)
		: db_exec(d, e, "DELETE FROM endpoints WHERE container = ?", "s", container);
}

static int each(struct db *d, const char *sql, const char *key, endpoint_fn *fn, void *data, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, sql, "s", key);

	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		_cleanup_(endpoint_row_done) struct endpoint_row row = {0};
		r = read_endpoint(s, &row, e);
		if (r == 0)
			r = fn(data, &row, e);
	}
	return r < 0 ? r : 0;
}

int endpoints_of_container(struct db *d, const char *container, endpoint_fn *fn, void *data, struct err *e)
{
	return each(
		d, "SELECT " ENDPOINT " FROM endpoints WHERE container = ? ORDER BY position", container, fn, data, e);
}

int endpoints_of_network(struct db *d, const char *network, endpoint_fn *fn, void *data, struct err *e)
{
	return each(d, "SELECT " ENDPOINT " FROM endpoints WHERE network = ? ORDER BY address4", network, fn, data, e);
}
