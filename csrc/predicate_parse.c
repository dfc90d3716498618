/* Turns a predicate's bytes into nodes, believing none of them. */
#include "predicate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"

struct parser {
    const uint8_t *at, *end;
    struct fo_predicate *predicate;
    uint32_t node_room;
};

static size_t left(const struct parser *parser) {
    return (size_t)(parser->end - parser->at);
}

/* Reads a little-endian integer of `size` bytes. Returns 0, or -EINVAL at the end of the program. */
static int read_integer(struct parser *parser, size_t size, uint64_t *value) {
    if (left(parser) < size)
        return -EINVAL;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)parser->at[i] << 8 * i;
    parser->at += size;
    return 0;
}

/* Reads `u32 length, bytes`. Returns 0, or -EINVAL. */
static int read_text(struct parser *parser, const uint8_t **data, uint32_t *length) {
    uint64_t value = 0;
    if (read_integer(parser, 4, &value) < 0 || value > left(parser))
        return -EINVAL;
    *data = parser->at;
    *length = (uint32_t)value;
    parser->at += value;
    return 0;
}

/* Appends an empty node. Returns its index, or -ENOMEM. */
static int64_t new_node(struct parser *parser, uint8_t kind) {
    struct fo_predicate *predicate = parser->predicate;
    if (predicate->node_count == parser->node_room) {
        uint32_t room = parser->node_room ? 2 * parser->node_room : 8;
        struct fo_node *nodes = realloc(predicate->nodes, room * sizeof(*nodes));
        if (!nodes)
            return -ENOMEM;
        predicate->nodes = nodes;
        parser->node_room = room;
    }
    predicate->nodes[predicate->node_count] = (struct fo_node){.kind = kind};
    return predicate->node_count++;
}

static int parse_type(struct parser *parser, struct fo_node *node) {
    return read_integer(parser, 2, &node->least);
}

/* The byte that names the number, for the nodes that test one. */
static int parse_number(struct parser *parser, struct fo_node *node) {
    uint64_t number = 0;
    if (read_integer(parser, 1, &number) < 0)
        return -EINVAL;
    int64_t mask = fo_number_mask((unsigned)number);
    if (mask < 0)
        return -EINVAL;
    parser->predicate->stat_mask |= (uint32_t)mask;
    node->subject = (uint8_t)number;
    return 0;
}

static int parse_range(struct parser *parser, struct fo_node *node) {
    uint64_t most = 0;
    if (parse_number(parser, node) < 0 || read_integer(parser, 8, &node->least) < 0 ||
        read_integer(parser, 8, &most) < 0)
        return -EINVAL;
    node->span = most - node->least; /* modulo 2^64: right for signed and unsigned numbers alike */
    return 0;
}

static int parse_bits(struct parser *parser, struct fo_node *node) {
    if (parse_number(parser, node) < 0 || read_integer(parser, 8, &node->least) < 0 ||
        read_integer(parser, 8, &node->span) < 0)
        return -EINVAL;
    return 0;
}

static int parse_numbers(struct parser *parser, struct fo_node *node) {
    uint64_t count = 0, previous = 0, value = 0;
    if (parse_number(parser, node) < 0 || read_integer(parser, 2, &count) < 0 || left(parser) < 8 * count)
        return -EINVAL;
    node->count = (uint32_t)count;
    node->data = parser->at;
    for (uint32_t i = 0; i < node->count; i++, previous = value) {
        read_integer(parser, 8, &value);
        if (i && value <= previous)
            return -EINVAL;
    }
    return 0;
}

/* The byte that names the text, for the nodes that test one. */
static int parse_subject(struct parser *parser, struct fo_node *node) {
    uint64_t subject = 0;
    if (read_integer(parser, 1, &subject) < 0 || subject > FO_TEXT_PATH)
        return -EINVAL;
    node->subject = (uint8_t)subject;
    return 0;
}

static int parse_text(struct parser *parser, struct fo_node *node) {
    if (parse_subject(parser, node) < 0)
        return -EINVAL;
    return read_text(parser, &node->data, &node->length);
}

static int parse_glob(struct parser *parser, struct fo_node *node) {
    int result = parse_text(parser, node);
    return result < 0 ? result : fo_glob_check(node->data, node->length);
}

/* Whether `right` may follow `left` in a sorted list: by length, then by bytes, no two alike. */
static bool ascending(const uint8_t *one, uint32_t one_length, const uint8_t *other, uint32_t other_length) {
    if (one_length != other_length)
        return one_length < other_length;
    return memcmp(one, other, one_length) < 0;
}

static int parse_texts(struct parser *parser, struct fo_node *node) {
    uint64_t count = 0;
    if (parse_subject(parser, node) < 0 || read_integer(parser, 2, &count) < 0)
        return -EINVAL;
    node->data = parser->at;
    node->count = (uint32_t)count;
    node->offsets = calloc(2 * count + 1, sizeof(*node->offsets));
    if (!node->offsets)
        return -ENOMEM;
    const uint8_t *previous = NULL, *text = NULL;
    uint32_t previous_length = 0, length = 0;
    for (uint32_t i = 0; i < count; i++, previous = text, previous_length = length) {
        if (read_text(parser, &text, &length) < 0 ||
            (previous && !ascending(previous, previous_length, text, length)))
            return -EINVAL;
        node->offsets[2 * i] = (uint32_t)(text - node->data);
        node->offsets[2 * i + 1] = length;
    }
    return 0;
}

static int parse_leaf(struct parser *parser, struct fo_node *node) {
    switch (node->kind) {
    case FO_NODE_FALSE:
    case FO_NODE_TRUE:
        return 0;
    case FO_NODE_TYPE:
        return parse_type(parser, node);
    case FO_NODE_RANGE:
        return parse_range(parser, node);
    case FO_NODE_NUMBERS:
        return parse_numbers(parser, node);
    case FO_NODE_BITS:
        return parse_bits(parser, node);
    case FO_NODE_EQUAL:
    case FO_NODE_STARTS:
    case FO_NODE_ENDS:
    case FO_NODE_CONTAINS:
    case FO_NODE_BELOW:
    case FO_NODE_AT_MOST:
        return parse_text(parser, node);
    case FO_NODE_TEXTS:
        return parse_texts(parser, node);
    case FO_NODE_GLOB:
        return parse_glob(parser, node);
    default:
        return -EINVAL;
    }
}

/* Reads one node and all below it. Returns 0, -EINVAL or -ENOMEM. */
static int parse_node(struct parser *parser, unsigned depth) {
    uint64_t kind = 0, children = 1;
    if (depth > FO_PREDICATE_DEPTH_MAX || read_integer(parser, 1, &kind) < 0)
        return -EINVAL;
    int64_t index = new_node(parser, (uint8_t)kind);
    if (index < 0)
        return (int)index;
    int result = 0;
    if (kind == FO_NODE_NOT || kind == FO_NODE_AND || kind == FO_NODE_OR) {
        if (kind != FO_NODE_NOT)
            result = read_integer(parser, 2, &children);
        while (result == 0 && children--)
            result = parse_node(parser, depth + 1);
    } else {
        result = parse_leaf(parser, &parser->predicate->nodes[index]);
    }
    parser->predicate->nodes[index].end = parser->predicate->node_count;
    return result;
}

/* Returns 0, -EINVAL or -ENOMEM; what was made so far hangs on the predicate either way. */
static int parse_program(struct fo_predicate *predicate, size_t length) {
    struct parser parser = {predicate->code, predicate->code + length, predicate, 0};
    uint64_t version = 0;
    if (read_integer(&parser, 1, &version) < 0 || version != FO_PREDICATE_VERSION)
        return -EINVAL;
    int result = parse_node(&parser, 0);
    if (result == 0 && parser.at != parser.end)
        result = -EINVAL;
    return result;
}

int fo_predicate_new(const uint8_t *code, size_t length, struct fo_predicate **out) {
    if (length > UINT32_MAX)
        return -EINVAL;
    struct fo_predicate *predicate = calloc(1, sizeof(*predicate));
    if (!predicate)
        return -ENOMEM;
    predicate->code = malloc(length ? length : 1);
    int result = -ENOMEM;
    if (predicate->code) {
        memcpy(predicate->code, code, length);
        result = parse_program(predicate, length);
    }
    if (result < 0)
        fo_predicate_free(predicate);
    else
        *out = predicate;
    return result;
}

void fo_predicate_free(struct fo_predicate *predicate) {
    if (!predicate)
        return;
    for (uint32_t i = 0; i < predicate->node_count; i++)
        free(predicate->nodes[i].offsets);
    free(predicate->nodes);
    free(predicate->code);
    free(predicate);
}
