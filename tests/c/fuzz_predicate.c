/* libFuzzer: predicate programs, ignore files, git's index and configuration, from any bytes. The first byte chooses. */
#include <stdlib.h>
#include <string.h>

#include "glob.h"
#include "ignore.h"

static void try_predicate(const uint8_t *data, size_t size) {
    struct fo_predicate *predicate;
    if (fo_predicate_new(data, size, &predicate) < 0)
        return;
    static const char *const names[] = {"a.c", "", ".b", "\xc3\xa9.\xff", "a/b"};
    struct fo_stat stat = {.size = 5, .mode = 0100644};
    for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
        const char *name = names[i / 2];
        struct fo_entry_view view = {name, strlen(name), "src/x", 5, FO_TYPE_FILE, 3, i % 2 ? &stat : NULL};
        int answer = fo_predicate_test(predicate, &view);
        if (answer < 0 || answer > 2 || (view.stat && answer == FO_PREDICATE_UNKNOWN))
            abort();
    }
    fo_predicate_free(predicate);
}

static void try_patterns(const uint8_t *data, size_t size, bool ignore_case) {
    struct fo_pattern_list *list;
    if (fo_pattern_list_parse((const char *)data, size, ignore_case, 0, &list) < 0)
        abort();
    struct fo_ignore_entry entry = {"src/a/b.c", 9, "b.c", 3, false};
    fo_pattern_list_match(list, &entry);
    entry.is_directory = true;
    fo_pattern_list_match(list, &entry);
    for (uint32_t i = 0; list && i < list->count; i++)
        if (list->patterns[i].code_length && fo_glob_check(list->patterns[i].code, list->patterns[i].code_length) < 0)
            abort();
    fo_pattern_list_free(list);
}

static void try_index(const uint8_t *data, size_t size) {
    struct fo_index index = {0};
    if (fo_index_parse(&index, data, size, 20, -1) == 0) {
        fo_index_find(&index, "src/a", 5);
        fo_index_find(&index, "src", 3);
    }
    fo_index_clear(&index);
}

static void try_config(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    struct fo_git_config config = {0};
    memcpy(text, data, size);
    text[size] = '\0';
    /* No descriptor: what is included is not found. */
    fo_git_config_parse(&config, text, -1, "/nowhere", 0);
    free(config.excludes_file);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    switch (data[0] % 5) {
    case 0:
        try_predicate(data + 1, size - 1);
        break;
    case 1:
    case 2:
        try_patterns(data + 1, size - 1, data[0] % 5 == 2);
        break;
    case 3:
        try_index(data + 1, size - 1);
        break;
    default:
        try_config(data + 1, size - 1);
    }
    return 0;
}
