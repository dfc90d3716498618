/* Patterns of gitignore(5), as git itself reads and matches them (its dir.c and wildmatch.c give the rules). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "glob.h"
#include "ignore.h"

/* -- from a wildmatch pattern to a compiled glob, in bytes */

struct writer {
    uint8_t *at; /* there is room: see code_room() */
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

/* Writes a wildmatch pattern; pathname: stars and the like stop at slashes. */
static void put_wildmatch(struct writer *writer, const uint8_t *at, const uint8_t *end, bool pathname,
                          bool ignore_case) {
    const uint8_t *start = at;
    while (at < end) {
        uint8_t byte = *at;
        if (byte == '*') {
            at = put_stars(writer, start, at, end, pathname);
        } else if (byte == '?') {
            put_token(writer, pathname ? FO_GLOB_ONE_INNER : FO_GLOB_ONE);
            at++;
        } else if (byte == '[') {
            at = put_bracket(writer, at + 1, end, ignore_case, pathname);
        } else if (byte == '\\' && at + 1 == end) {
            put_never(writer);
            at++;
        } else {
            at += byte == '\\';
            put_character(writer, *at++, ignore_case);
        }
    }
}

/* -- from lines to patterns */

struct lines {
    struct fo_pattern_list *list;
    uint8_t *room; /* in list->storage */
};

/* Bytes of a pattern that are no wildcard. */
static size_t plain_length(const uint8_t *text, size_t length) {
    size_t count = 0;
    while (count < length && !memchr("*?[\\", text[count], 4))
        count++;
    return count;
}

/* Spaces at the end go, unless a backslash keeps them. */
static size_t without_trailing_spaces(const uint8_t *text, size_t length) {
    size_t kept = 0;
    for (size_t i = 0; i < length; i++) {
        bool escaped = text[i] == '\\';
        if (escaped && ++i == length)
            return length;
        if (escaped || text[i] != ' ')
            kept = i + 1;
    }
    return kept;
}

static void copy_prefix(struct lines *lines, struct fo_pattern *pattern, const uint8_t *text, size_t length) {
    memcpy(lines->room, text, length);
    pattern->prefix = lines->room;
    pattern->prefix_length = (uint32_t)length;
    lines->room += length;
}

static void compile_rest(struct lines *lines, struct fo_pattern *pattern, const uint8_t *text, size_t length,
                         bool pathname) {
    struct writer writer = {.at = lines->room, .start = lines->room};
    put_wildmatch(&writer, text, text + length, pathname, lines->list->ignore_case);
    pattern->code = writer.start;
    pattern->code_length = (uint32_t)(writer.at - writer.start);
    lines->room = writer.at;
}

/* Adds one pattern, its '!' and last '/' already taken off. */
static void add_pattern(struct lines *lines, const uint8_t *text, size_t length, uint8_t flags) {
    struct fo_pattern *pattern = &lines->list->patterns[lines->list->count++];
    size_t plain = plain_length(text, length);
    if (!memchr(text, '/', length)) {
        flags |= FO_PATTERN_BASENAME;
        if (plain == length) {
            flags |= FO_PATTERN_PLAIN;
            copy_prefix(lines, pattern, text, length);
        } else if (text[0] == '*' && plain_length(text + 1, length - 1) == length - 1) {
            flags |= FO_PATTERN_ENDS;
            copy_prefix(lines, pattern, text + 1, length - 1);
        } else {
            compile_rest(lines, pattern, text, length, false);
        }
    } else {
        size_t slash = text[0] == '/';
        lines->list->has_paths = true;
        copy_prefix(lines, pattern, text + slash, plain - slash);
        /* From here on the rest stands alone, as in git: a `**` at its start counts as one behind a slash. */
        compile_rest(lines, pattern, text + plain, length - plain, true);
        flags |= plain == length ? FO_PATTERN_PLAIN : 0;
    }
    pattern->flags = flags;
}

static void add_line(struct lines *lines, const uint8_t *text, size_t length) {
    const uint8_t *zero = memchr(text, '\0', length);
    if (zero)
        length = (size_t)(zero - text);
    uint8_t flags = 0;
    length = without_trailing_spaces(text, length);
    if (length && text[0] == '!') {
        flags |= FO_PATTERN_NEGATED;
        text++, length--;
    }
    if (length && text[length - 1] == '/') {
        flags |= FO_PATTERN_DIRECTORY;
        length--;
    }
    if (length)
        add_pattern(lines, text, length, flags);
}

/* An upper bound of the storage that a text of this length needs: a class takes up to 4 + 8 * 128 bytes for its
 * least text of three bytes, or 20 for one letter where the case is ignored; so count the brackets. */
static size_t code_room(const char *text, size_t length) {
    size_t brackets = 0;
    for (size_t i = 0; i < length; i++)
        brackets += text[i] == '[' || text[i] == '\\';
    return 24 * (length + 1) + 1032 * brackets;
}

static size_t count_lines(const char *text, size_t length) {
    size_t count = 1;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\n';
    return count;
}

static void add_lines(struct lines *lines, const char *text, size_t length) {
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline ? newline : end) - text);
        /* The carriage return goes where a newline follows, and at the end of the file, as git reads it. */
        size_t kept = line && text[line - 1] == '\r' ? line - 1 : line;
        if (line && *text != '#')
            add_line(lines, (const uint8_t *)text, kept);
        text += line + 1;
    }
}

int fo_pattern_list_parse(const char *text, size_t length, bool ignore_case, size_t base,
                          struct fo_pattern_list **out) {
    *out = NULL;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3, length -= 3;
    if (!length)
        return 0;
    struct fo_pattern_list *list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list->ignore_case = ignore_case;
    list->base = base;
    list->patterns = calloc(count_lines(text, length), sizeof(*list->patterns));
    list->storage = malloc(code_room(text, length));
    if (!list->patterns || !list->storage) {
        fo_pattern_list_free(list);
        return -ENOMEM;
    }
    add_lines(&(struct lines){list, list->storage}, text, length);
    if (list->count)
        *out = list;
    else
        fo_pattern_list_free(list);
    return 0;
}

void fo_pattern_list_free(struct fo_pattern_list *list) {
    if (!list)
        return;
    free(list->patterns);
    free(list->storage);
    free(list);
}
