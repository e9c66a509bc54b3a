/* The parsed template, between template-parse.c, template-eval.c and template-func.c. */
#pragma once

#include "cli/template.h"

enum expr_kind { EXPR_DOT, EXPR_VARIABLE, EXPR_LITERAL, EXPR_FUNCTION, EXPR_PIPE };

struct expr {
	enum expr_kind kind;
	char *name; /* of a variable ("" for $) or function */
	json_t *literal;
	struct pipe *pipe; /* in parentheses */
	char **fields;     /* .A.B behind it */
	size_t start, end; /* where it stands in the text */
};

struct call { /* an operand, or a function and its arguments */
	struct expr *args;
	size_t n;
};

struct pipe {
	char *vars[2]; /* $a or $a, $b before := or = */
	size_t vars_len;
	bool assign; /* = */
	struct call *calls;
	size_t n;
};

enum node_kind { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_RANGE, NODE_WITH };

struct node {
	enum node_kind kind;
	char *text;
	size_t len;
	struct pipe *pipe;
	struct node *body, *otherwise, *next;
};

struct template
{
	char *source;
	struct node *nodes;
};

/* Prints a value as Go's %v. 0 or -ENOMEM. */
int template_print(struct buf *out, const json_t *v);
bool template_truth(const json_t *v);

/* A function: args are borrowed; *ret is a new reference. Errors without position: the caller adds it. */
struct template_function {
	const char *name;
	int min, max; /* arguments; max < 0: any number */
	int (*call)(json_t *const *args, size_t n, json_t **ret, struct err *e);
};
/* and, or and not are the evaluator's own, as they need not evaluate all; they are in the table with call
 * NULL. */
const struct template_function *template_function(const char *name);
