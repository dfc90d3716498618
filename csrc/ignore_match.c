/* Matching entries with a list of patterns: the hot path of ignore files. */
#include <string.h>
#include <strings.h>

#include "glob.h"
#include "ignore.h"

static bool same(const char *text, const uint8_t *wanted, size_t length, bool ignore_case) {
    return ignore_case ? strncasecmp(text, (const char *)wanted, length) == 0 : memcmp(text, wanted, length) == 0;
}

static bool matches_name(const struct fo_pattern *pattern, const struct fo_ignore_entry *entry, bool ignore_case) {
    size_t length = pattern->prefix_length;
    if (pattern->flags & FO_PATTERN_PLAIN)
        return entry->name_length == length && same(entry->name, pattern->prefix, length, ignore_case);
    if (pattern->flags & FO_PATTERN_ENDS)
        return entry->name_length >= length &&
               same(entry->name + entry->name_length - length, pattern->prefix, length, ignore_case);
    return fo_glob_match(pattern->code, pattern->code_length, entry->name, entry->name_length, FO_GLOB_BYTES);
}

static bool matches_path(const struct fo_pattern *pattern, const char *path, size_t length, bool ignore_case) {
    size_t prefix = pattern->prefix_length;
    if (length < prefix || !same(path, pattern->prefix, prefix, ignore_case))
        return false;
    if (pattern->flags & FO_PATTERN_PLAIN)
        return length == prefix;
    return fo_glob_match(pattern->code, pattern->code_length, path + prefix, length - prefix, FO_GLOB_BYTES);
}

int fo_pattern_list_match(const struct fo_pattern_list *list, const struct fo_ignore_entry *entry) {
    if (!list)
        return -1;
    for (uint32_t i = list->count; i-- > 0;) {
        const struct fo_pattern *pattern = &list->patterns[i];
        if ((pattern->flags & FO_PATTERN_DIRECTORY) && !entry->is_directory)
            continue;
        bool matched = pattern->flags & FO_PATTERN_BASENAME
                           ? matches_name(pattern, entry, list->ignore_case)
                           : matches_path(pattern, entry->path + list->base, entry->path_length - list->base,
                                          list->ignore_case);
        if (matched)
            return !(pattern->flags & FO_PATTERN_NEGATED);
    }
    return -1;
}
