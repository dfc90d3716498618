/* The compiled form of a predicate, between predicate_parse.c, which makes it, and predicate.c, which runs it. */
#ifndef FASTOS_PREDICATE_H
#define FASTOS_PREDICATE_H

#include "api.h"

enum {
    FO_PREDICATE_DEPTH_MAX = 64 /* nesting; deeper programs are refused, so the recursion is bounded */
};

/* One node; its children, if any, follow it and end before nodes[end]. */
struct fo_node {
    uint8_t kind;    /* enum fo_predicate_node */
    uint8_t subject; /* which text or number */
    uint32_t end;
    uint32_t count;      /* of numbers or texts */
    uint32_t length;     /* of data */
    uint64_t least;      /* RANGE; mask of BITS and TYPE */
    uint64_t span;       /* most - least of RANGE; value of BITS */
    const uint8_t *data; /* into the program's copy */
    uint32_t *offsets;   /* TEXTS: where each begins in data, count + 1 of them */
};

struct fo_predicate {
    uint8_t *code; /* the copy that data points into */
    struct fo_node *nodes;
    uint32_t node_count;
    uint32_t stat_mask;
};

/* Returns the FO_STAT_* bit of a number from the stat, 0 for the depth, or -EINVAL for no such number. */
int64_t fo_number_mask(unsigned number);

#endif
