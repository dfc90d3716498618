/* Tests entries with a predicate: the hot path, so nothing here allocates but for paths beyond PATH_BUFFER. */
#include "predicate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"

enum { PATH_BUFFER = 4096 };

struct text {
    const char *data;
    size_t length;
};

/* One test in progress: the entry, and its path once somebody asked for it. */
struct test {
    const struct fo_node *nodes;
    const struct fo_entry_view *entry;
    struct text path; /* data NULL: not put together yet */
    char *buffer;     /* PATH_BUFFER bytes */
    char *allocated;
};

int64_t fo_number_mask(unsigned number) {
    static const uint32_t masks[] = {
        [FO_NUMBER_DEPTH] = 0,
        [FO_NUMBER_SIZE] = FO_STAT_SIZE,
        [FO_NUMBER_BLOCKS] = FO_STAT_BLOCKS,
        [FO_NUMBER_INO] = FO_STAT_INO,
        [FO_NUMBER_DEV] = FO_STAT_DEV,
        [FO_NUMBER_RDEV] = FO_STAT_TYPE,
        [FO_NUMBER_MODE] = FO_STAT_MODE,
        [FO_NUMBER_UID] = FO_STAT_UID,
        [FO_NUMBER_GID] = FO_STAT_GID,
        [FO_NUMBER_NLINK] = FO_STAT_NLINK,
        [FO_NUMBER_BLKSIZE] = FO_STAT_TYPE,
        [FO_NUMBER_ATIME_NS] = FO_STAT_ATIME,
        [FO_NUMBER_MTIME_NS] = FO_STAT_MTIME,
        [FO_NUMBER_CTIME_NS] = FO_STAT_CTIME,
        [FO_NUMBER_BTIME_NS] = FO_STAT_BTIME,
    };
    return number < sizeof(masks) / sizeof(masks[0]) ? (int64_t)masks[number] : -EINVAL;
}

/* Returns a number of the stat as 64 bits; a negative one in two's complement. */
static uint64_t stat_number(const struct fo_stat *stat, unsigned number) {
    switch (number) {
    case FO_NUMBER_SIZE:
        return (uint64_t)stat->size;
    case FO_NUMBER_BLOCKS:
        return (uint64_t)stat->blocks;
    case FO_NUMBER_INO:
        return (uint64_t)stat->ino;
    case FO_NUMBER_DEV:
        return (uint64_t)stat->dev;
    case FO_NUMBER_RDEV:
        return (uint64_t)stat->rdev;
    case FO_NUMBER_MODE:
        return stat->mode;
    case FO_NUMBER_UID:
        return stat->uid;
    case FO_NUMBER_GID:
        return stat->gid;
    case FO_NUMBER_NLINK:
        return (uint64_t)stat->nlink;
    case FO_NUMBER_BLKSIZE:
        return (uint64_t)stat->blksize;
    case FO_NUMBER_ATIME_NS:
        return (uint64_t)stat->atime_ns;
    case FO_NUMBER_MTIME_NS:
        return (uint64_t)stat->mtime_ns;
    case FO_NUMBER_CTIME_NS:
        return (uint64_t)stat->ctime_ns;
    default:
        return (uint64_t)stat->btime_ns;
    }
}

static uint64_t read_u64(const uint8_t *at) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static bool is_one_of_numbers(const struct fo_node *node, uint64_t number) {
    uint32_t low = 0, high = node->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t value = read_u64(node->data + 8 * (size_t)middle);
        if (value == number)
            return true;
        if (value < number)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int test_number(const struct fo_node *node, const struct fo_entry_view *entry) {
    if (node->subject != FO_NUMBER_DEPTH && !entry->stat)
        return FO_PREDICATE_UNKNOWN;
    uint64_t number = node->subject == FO_NUMBER_DEPTH ? entry->depth : stat_number(entry->stat, node->subject);
    if (node->kind == FO_NODE_RANGE)
        return number - node->least <= node->span;
    if (node->kind == FO_NODE_BITS)
        return (number & node->least) == node->span;
    return is_one_of_numbers(node, number);
}

static int test_type(const struct fo_node *node, const struct fo_entry_view *entry) {
    unsigned type = entry->type;
    if (type == FO_TYPE_UNKNOWN) {
        if (!entry->stat)
            return FO_PREDICATE_UNKNOWN;
        type = (unsigned)fo_stat_type(entry->stat->mode);
    }
    return node->least >> type & 1;
}

/* Returns the name from its last '.', or nothing where that is the first or the last byte. */
static struct text suffix_of(const char *name, size_t length) {
    const char *dot = NULL;
    for (size_t i = length; i-- > 0 && !dot;)
        if (name[i] == '.')
            dot = name + i;
    if (!dot || dot == name || dot + 1 == name + length)
        return (struct text){name, 0};
    return (struct text){dot, (size_t)(name + length - dot)};
}

/* Puts directory, '/' and name together. Returns 0 or -ENOMEM. */
static int join_path(struct test *test) {
    const struct fo_entry_view *entry = test->entry;
    size_t length = entry->directory_length + 1 + entry->name_length;
    char *path = test->buffer;
    if (length > PATH_BUFFER)
        path = test->allocated = malloc(length);
    if (!path)
        return -ENOMEM;
    memcpy(path, entry->directory, entry->directory_length);
    path[entry->directory_length] = '/';
    memcpy(path + entry->directory_length + 1, entry->name, entry->name_length);
    test->path = (struct text){path, length};
    return 0;
}

/* Stores the text that a node looks at. Returns 0 or -ENOMEM. */
static int subject_of(struct test *test, const struct fo_node *node, struct text *text) {
    const struct fo_entry_view *entry = test->entry;
    if (node->subject == FO_TEXT_SUFFIX) {
        *text = suffix_of(entry->name, entry->name_length);
    } else if (node->subject == FO_TEXT_PATH && entry->depth == 0) {
        *text = (struct text){"", 0};
    } else if (node->subject == FO_TEXT_PATH && entry->directory_length) {
        int result = test->path.data ? 0 : join_path(test);
        *text = test->path;
        return result;
    } else {
        *text = (struct text){entry->name, entry->name_length};
    }
    return 0;
}

static bool is_below(struct text text, const struct fo_node *node, bool or_equal) {
    size_t shorter = text.length < node->length ? text.length : node->length;
    int order = memcmp(text.data, node->data, shorter);
    if (order != 0)
        return order < 0;
    return text.length < node->length || (or_equal && text.length == node->length);
}

static bool is_one_of_texts(const struct fo_node *node, struct text text) {
    uint32_t low = 0, high = node->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, length = node->offsets[2 * middle + 1];
        int order = length == text.length ? memcmp(node->data + node->offsets[2 * middle], text.data, length)
                                          : (length < text.length ? -1 : 1);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int test_text(struct test *test, const struct fo_node *node) {
    struct text text;
    int result = subject_of(test, node, &text);
    if (result < 0)
        return result;
    switch (node->kind) {
    case FO_NODE_EQUAL:
        return text.length == node->length && memcmp(text.data, node->data, node->length) == 0;
    case FO_NODE_STARTS:
        return text.length >= node->length && memcmp(text.data, node->data, node->length) == 0;
    case FO_NODE_ENDS:
        return text.length >= node->length &&
               memcmp(text.data + text.length - node->length, node->data, node->length) == 0;
    case FO_NODE_CONTAINS:
        return memmem(text.data, text.length, node->data, node->length) != NULL;
    case FO_NODE_BELOW:
        return is_below(text, node, false);
    case FO_NODE_AT_MOST:
        return is_below(text, node, true);
    case FO_NODE_TEXTS:
        return is_one_of_texts(node, text);
    default:
        return fo_glob_match(node->data, node->length, text.data, text.length, FO_GLOB_CHARACTERS);
    }
}

static int test_node(struct test *test, uint32_t index);

/* AND stops at the first NO, OR at the first YES; an UNKNOWN is kept while the others are asked. */
static int test_children(struct test *test, uint32_t index) {
    const struct fo_node *node = &test->nodes[index];
    int decisive = node->kind == FO_NODE_OR ? FO_PREDICATE_YES : FO_PREDICATE_NO;
    int result = !decisive;
    for (uint32_t child = index + 1; child < node->end; child = test->nodes[child].end) {
        int answer = test_node(test, child);
        if (answer == decisive || answer < 0)
            return answer;
        if (answer == FO_PREDICATE_UNKNOWN)
            result = FO_PREDICATE_UNKNOWN;
    }
    return result;
}

static int test_node(struct test *test, uint32_t index) {
    const struct fo_node *node = &test->nodes[index];
    int answer;
    switch (node->kind) {
    case FO_NODE_FALSE:
    case FO_NODE_TRUE:
        return node->kind;
    case FO_NODE_NOT:
        answer = test_node(test, index + 1);
        return answer == FO_PREDICATE_NO || answer == FO_PREDICATE_YES ? !answer : answer;
    case FO_NODE_AND:
    case FO_NODE_OR:
        return test_children(test, index);
    case FO_NODE_TYPE:
        return test_type(node, test->entry);
    case FO_NODE_RANGE:
    case FO_NODE_NUMBERS:
    case FO_NODE_BITS:
        return test_number(node, test->entry);
    default:
        return test_text(test, node);
    }
}

uint32_t fo_predicate_stat_mask(const struct fo_predicate *predicate) {
    return predicate ? predicate->stat_mask : 0;
}

int fo_predicate_test(const struct fo_predicate *predicate, const struct fo_entry_view *entry) {
    if (!predicate)
        return FO_PREDICATE_YES;
    char buffer[PATH_BUFFER];
    struct test test = {.nodes = predicate->nodes, .entry = entry, .buffer = buffer};
    int answer = test_node(&test, 0);
    free(test.allocated);
    return answer;
}
