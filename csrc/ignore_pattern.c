/* Lists of patterns as gitignore(5) has them, and as git's dir.c reads them: from lines to patterns. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ignore.h"

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
    uint8_t *end = fo_wildmatch_compile(text, length, pathname, lines->list->ignore_case, lines->room);
    pattern->code = lines->room;
    pattern->code_length = (uint32_t)(end - lines->room);
    lines->room = end;
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
    list->storage = malloc(fo_wildmatch_room(text, length));
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
