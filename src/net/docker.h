/*
 * Beside docker: an accept in our table does not override a drop in docker's, whose policy for what is forwarded is drop. Where its chain DOCKER-
 * USER exists, in IPv4 or IPv6, with either backend of iptables, a constant number of rules for our interfaces goes to its top. They give up
 * nothing: what may reach a container is still decided in our own table, and what may reach a container of docker's by the rest of docker's rules.
 *
 * The caller has the networks' lock. Nothing here fails a start: without these rules containers are cut off, which `doctor` says.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * Puts the rules in where they are missing. Some 0.1 ms where nothing is to be done; programs are run only to change something, or to look at
 * a legacy iptables.
 */
int docker_rules_ensure(struct err *e);
/* Takes them out: the last bridge has gone. */
void docker_rules_remove(void);
bool docker_is_here(void);       /* there is a chain DOCKER-USER */
bool docker_rules_missing(void); /* in one of them */
