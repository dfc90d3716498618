/* Predicates on directory entries: a small program, checked once, that says for each entry whether it is wanted.
 *
 * The program is a tree in prefix order behind the version byte FO_PREDICATE_VERSION. Integers are little-endian
 * and unaligned. A node is one byte of enum fo_predicate_node and its operands; texts are `u32 length, bytes`.
 * Children of AND and OR are tested in the order given, so whoever writes the program puts the cheap ones first. */

/* What a predicate can say of an entry. */
enum fo_predicate_result {
    FO_PREDICATE_NO = 0,
    FO_PREDICATE_YES = 1,
    FO_PREDICATE_UNKNOWN = 2 /* the answer hangs on the stat: get it and ask again */
};

enum { FO_PREDICATE_VERSION = 1 };

enum fo_predicate_node {
    FO_NODE_FALSE = 0,
    FO_NODE_TRUE = 1,
    FO_NODE_NOT = 2,          /* child */
    FO_NODE_AND = 3,          /* u16 count, children */
    FO_NODE_OR = 4,           /* u16 count, children */
    FO_NODE_TYPE = 5,         /* u16 mask: the type is one of these, bit FO_TYPE_* each */
    FO_NODE_RANGE = 6,        /* u8 number, u64 least, u64 most: least <= number <= most, in the number's own sign */
    FO_NODE_NUMBERS = 7,      /* u8 number, u16 count, u64 each, ascending as unsigned: the number is one of these */
    FO_NODE_BITS = 8,         /* u8 number, u64 mask, u64 value: (number & mask) == value */
    FO_NODE_EQUAL = 9,        /* u8 text, text */
    FO_NODE_STARTS = 10,      /* u8 text, text */
    FO_NODE_ENDS = 11,        /* u8 text, text */
    FO_NODE_CONTAINS = 12,    /* u8 text, text */
    FO_NODE_BELOW = 13,       /* u8 text, text: byte order, strictly below */
    FO_NODE_AT_MOST = 14,     /* u8 text, text: byte order, below or equal */
    FO_NODE_TEXTS = 15,       /* u8 text, u16 count, texts ascending by (length, bytes): the text is one of these */
    FO_NODE_GLOB = 16         /* u8 text, compiled glob as a text (see glob.h), matched by characters */
};

/* The texts of an entry. */
enum fo_predicate_text {
    FO_TEXT_NAME = 0,
    FO_TEXT_SUFFIX = 1, /* the name from its last '.', or nothing where that is its first or last byte */
    FO_TEXT_PATH = 2    /* the path below the root, no slash in front; nothing for the root itself */
};

/* The numbers of an entry. All but the depth come from its stat. */
enum fo_predicate_number {
    FO_NUMBER_DEPTH = 0,
    FO_NUMBER_SIZE = 1,
    FO_NUMBER_BLOCKS = 2,
    FO_NUMBER_INO = 3,
    FO_NUMBER_DEV = 4,
    FO_NUMBER_RDEV = 5,
    FO_NUMBER_MODE = 6,
    FO_NUMBER_UID = 7,
    FO_NUMBER_GID = 8,
    FO_NUMBER_NLINK = 9,
    FO_NUMBER_BLKSIZE = 10,
    FO_NUMBER_ATIME_NS = 11,
    FO_NUMBER_MTIME_NS = 12,
    FO_NUMBER_CTIME_NS = 13,
    FO_NUMBER_BTIME_NS = 14
};

/* An entry as a predicate sees it. Nothing is owned. */
struct fo_entry_view {
    const char *name; /* need not end in a zero byte */
    size_t name_length;
    const char *directory; /* path of its directory below the root: no root in front, no slash at the end */
    size_t directory_length;
    uint8_t type; /* FO_TYPE_* */
    uint32_t depth;
    const struct fo_stat *stat; /* NULL as long as it is not known; else filled in for fo_predicate_stat_mask() */
};

struct fo_predicate;

/* Checks a program wholly and makes it ready to run; the bytes are copied.
 * Returns 0 and stores a predicate for fo_predicate_free(); -EINVAL for a malformed program; -ENOMEM. */
int fo_predicate_new(const uint8_t *code, size_t length, struct fo_predicate **out);

/* Frees a predicate. NULL is allowed. */
void fo_predicate_free(struct fo_predicate *predicate);

/* Returns the FO_STAT_* bits that the predicate can ask for; 0 if it never needs a stat. */
uint32_t fo_predicate_stat_mask(const struct fo_predicate *predicate);

/* Tests one entry; a NULL predicate wants everything. Safe from any number of threads at once.
 * An entry of unknown type is UNKNOWN to a test of the type as long as stat is NULL.
 * Returns FO_PREDICATE_NO, _YES or _UNKNOWN (the last only while entry->stat is NULL), or -ENOMEM (a path of more
 * than 4 KiB that found no room). */
int fo_predicate_test(const struct fo_predicate *predicate, const struct fo_entry_view *entry);
