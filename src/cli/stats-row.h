/* A row of `stats`: texts as docker's, of two samples (engine_stats's) of a container. What is unknown is "--". */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* before: an earlier one, or NULL. now: with "Ref" as the user named it; without figures it does not run. Fills *row. -ENOMEM. */
int stats_row(const json_t *before, const json_t *now, bool no_trunc, json_t *row);
