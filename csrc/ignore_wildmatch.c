/* From a wildmatch pattern, as git's wildmatch.c matches it, to a compiled glob. */
#include <ctype.h>
#include <string.h>

#include "glob.h"
#include "ignore.h"

/* -- the compiled glob, in bytes */

struct writer {
    uint8_t *at; /* there is room: see fo_wildmatch_room() */
    const uint8_t *start;
    uint8_t *literal; /* the open literal token, or NULL */
};

static void put_byte(struct writer *writer, uint8_t byte) {
    *writer->at++ = byte;
}

static void put_u32(struct writer *writer, uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8)
        put_byte(writer, (uint8_t)(value >> shift));
}

static void put_token(struct writer *writer, enum fo_glob_token token) {
    put_byte(writer, (uint8_t)token);
    writer->literal = NULL;
}

static void put_literal(struct writer *writer, uint8_t byte) {
    if (!writer->literal || writer->literal[1] + 256 * writer->literal[2] == UINT16_MAX) {
        writer->literal = writer->at;
        put_byte(writer, FO_GLOB_LITERAL);
        put_byte(writer, 0);
        put_byte(writer, 0);
    }
    put_byte(writer, byte);
    if (++writer->literal[1] == 0)
        writer->literal[2]++;
}

/* A set of bytes as a class token. */
static void put_class(struct writer *writer, const bool set[256], bool inner) {
    put_token(writer, FO_GLOB_CLASS);
    put_byte(writer, inner ? FO_GLOB_CLASS_INNER : 0);
    uint8_t *count = writer->at;
    put_byte(writer, 0);
    put_byte(writer, 0);
    for (unsigned first = 0; first < 256; first++) {
        if (!set[first])
            continue;
        unsigned last = first;
        while (last < 255 && set[last + 1])
            last++;
        put_u32(writer, first);
        put_u32(writer, last);
        count[0]++;
        first = last;
    }
}

static void put_character(struct writer *writer, uint8_t byte, bool ignore_case) {
    if (!ignore_case || !isascii(byte) || !isalpha(byte)) {
        put_literal(writer, byte);
        return;
    }
    bool set[256] = {false};
    set[tolower(byte)] = set[toupper(byte)] = true;
    put_class(writer, set, false);
}

/* What no text matches. */
static void put_never(struct writer *writer) {
    static const bool none[256];
    put_class(writer, none, false);
}

/* -- bracket expressions */

static bool is_blank(unsigned byte) {
    return byte == ' ' || byte == '\t';
}

/* Whether a byte is in a POSIX class; -1 for an unknown name. ASCII only, as in git. */
static int in_named_class(const uint8_t *name, size_t length, unsigned byte, bool ignore_case) {
    static const char *const names[] = {"alnum", "alpha", "blank", "cntrl", "digit", "graph",
                                        "lower", "print", "punct", "space", "upper", "xdigit"};
    size_t which = 0;
    while (which < 12 && (strlen(names[which]) != length || memcmp(names[which], name, length) != 0))
        which++;
    if (which == 12)
        return -1;
    if (byte > 127)
        return 0;
    int c = (int)byte;
    switch (which) {
    case 0: return isalnum(c) != 0;
    case 1: return isalpha(c) != 0;
    case 2: return is_blank(byte);
    case 3: return iscntrl(c) != 0;
    case 4: return isdigit(c) != 0;
    case 5: return isgraph(c) != 0;
    case 6: return islower(c) != 0;
    case 7: return isprint(c) != 0;
    case 8: return ispunct(c) != 0;
    case 9: return isspace(c) != 0;
    case 10: return isupper(c) != 0 || (ignore_case && islower(c));
    default: return isxdigit(c) != 0;
    }
}

/* One bracket expression, asked for one byte; wildmatch's own walk through it. */
struct bracket {
    const uint8_t *at, *end;
    unsigned byte;
    bool ignore_case;
    bool matched;
    unsigned previous; /* what a '-' would begin its range with, or 0 */
};

/* Returns the byte at p, or 0 at the end. */
static unsigned peek(const struct bracket *b, const uint8_t *p) {
    return p < b->end ? *p : 0;
}

/* Takes `-x` at b->at. Returns whether it is well formed. */
static bool take_range(struct bracket *b) {
    unsigned last = peek(b, ++b->at);
    if (last == '\\')
        last = peek(b, ++b->at);
    if (!last)
        return false;
    unsigned upper = b->ignore_case && b->byte < 128 && islower((int)b->byte) ? (unsigned)toupper((int)b->byte) : b->byte;
    if ((b->byte >= b->previous && b->byte <= last) || (upper >= b->previous && upper <= last))
        b->matched = true;
    b->previous = 0;
    return true;
}

/* Takes `[:name:]` at b->at, or a plain '[' where there is no ":]". Returns whether it is well formed. */
static bool take_named(struct bracket *b) {
    const uint8_t *name = b->at + 2, *close = name;
    while (close < b->end && *close != ']')
        close++;
    if (close == b->end)
        return false;
    if (close == name || close[-1] != ':') {
        b->matched |= b->byte == '[';
        b->previous = '[';
        return true;
    }
    int within = in_named_class(name, (size_t)(close - 1 - name), b->byte, b->ignore_case);
    if (within < 0)
        return false;
    b->matched |= within;
    b->previous = 0;
    b->at = close;
    return true;
}

/* Takes what stands at b->at. Returns whether it is well formed. */
static bool take_item(struct bracket *b) {
    unsigned byte = peek(b, b->at), next = peek(b, b->at + 1);
    if (byte == '-' && b->previous && next && next != ']')
        return take_range(b);
    if (byte == '[' && next == ':')
        return take_named(b);
    if (byte == '\\')
        byte = peek(b, ++b->at);
    if (!byte)
        return false;
    b->matched |= b->byte == byte;
    b->previous = byte;
    return true;
}

/* Asks the bracket expression behind '[' for one byte. Returns where its ']' is, or NULL if it is malformed. */
static const uint8_t *bracket_match(const uint8_t *at, const uint8_t *end, unsigned byte, bool ignore_case,
                                    bool *matched) {
    struct bracket b = {.at = at, .end = end, .byte = byte, .ignore_case = ignore_case};
    bool inverted = peek(&b, at) == '!' || peek(&b, at) == '^';
    b.at += inverted;
    do {
        if (!take_item(&b))
            return NULL;
    } while (peek(&b, ++b.at) != ']');
    *matched = b.matched != inverted;
    return b.at;
}

/* Writes the bracket expression behind the '[' at `at`. Returns what follows it; `end` for a malformed one, which
 * matches nothing. */
static const uint8_t *put_bracket(struct writer *writer, const uint8_t *at, const uint8_t *end, bool ignore_case,
                                  bool inner) {
    bool set[256];
    const uint8_t *close = NULL;
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned folded = ignore_case && byte < 128 ? (unsigned)tolower((int)byte) : byte;
        close = bracket_match(at, end, folded, ignore_case, &set[byte]);
        if (!close) {
            put_never(writer);
            return end;
        }
    }
    put_class(writer, set, inner);
    return close + 1;
}

/* Writes the stars at `at`. Returns what follows. */
static const uint8_t *put_stars(struct writer *writer, const uint8_t *start, const uint8_t *at, const uint8_t *end,
                                bool pathname) {
    const uint8_t *next = at;
    while (next < end && *next == '*')
        next++;
    bool whole = next - at > 1 && (at == start || at[-1] == '/');
    if (!pathname || (whole && next == end) || (whole && end - next > 1 && next[0] == '\\' && next[1] == '/')) {
        put_token(writer, FO_GLOB_RUN);
    } else if (whole && *next == '/') {
        put_token(writer, FO_GLOB_DIRECTORIES);
        next++;
    } else {
        put_token(writer, FO_GLOB_RUN_INNER);
    }
    return next;
}

uint8_t *fo_wildmatch_compile(const uint8_t *at, size_t length, bool pathname, bool ignore_case, uint8_t *room) {
    struct writer writer = {.at = room, .start = room};
    const uint8_t *start = at, *end = at + length;
    while (at < end) {
        uint8_t byte = *at;
        if (byte == '*') {
            at = put_stars(&writer, start, at, end, pathname);
        } else if (byte == '?') {
            put_token(&writer, pathname ? FO_GLOB_ONE_INNER : FO_GLOB_ONE);
            at++;
        } else if (byte == '[') {
            at = put_bracket(&writer, at + 1, end, ignore_case, pathname);
        } else if (byte == '\\' && at + 1 == end) {
            put_never(&writer);
            at++;
        } else {
            at += byte == '\\';
            put_character(&writer, *at++, ignore_case);
        }
    }
    return writer.at;
}

/* A class takes up to 4 + 8 * 128 bytes for its
 * least text of three bytes, or 20 for one letter where the case is ignored; so count the brackets. */
size_t fo_wildmatch_room(const char *text, size_t length) {
    size_t brackets = 0;
    for (size_t i = 0; i < length; i++)
        brackets += text[i] == '[' || text[i] == '\\';
    return 24 * (length + 1) + 1032 * brackets;
}
