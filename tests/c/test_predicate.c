#include "check.h"

#include <errno.h>

#include "api.h"
#include "glob.h"

static int ask(const uint8_t *code, size_t length, const struct fo_entry_view *entry) {
    struct fo_predicate *predicate;
    int result = fo_predicate_new(code, length, &predicate);
    if (result < 0)
        return result;
    result = fo_predicate_test(predicate, entry);
    fo_predicate_free(predicate);
    return result;
}

#define ASK(entry, ...) ask((const uint8_t[]){1, __VA_ARGS__}, sizeof((const uint8_t[]){1, __VA_ARGS__}), entry)

static const struct fo_entry_view FILE_A = {"a.c", 3, "src", 3, FO_TYPE_FILE, 2, NULL};

TEST(constants) {
    CHECK_EQ(ASK(&FILE_A, FO_NODE_TRUE), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_FALSE), FO_PREDICATE_NO);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_NOT, FO_NODE_FALSE), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_AND, 0, 0), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_OR, 0, 0), FO_PREDICATE_NO);
    CHECK_EQ(fo_predicate_test(NULL, &FILE_A), FO_PREDICATE_YES);
}

#define SIZE_ABOVE_0 FO_NODE_RANGE, FO_NUMBER_SIZE, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 127

TEST(unknown_only_where_it_matters) {
    CHECK_EQ(ASK(&FILE_A, SIZE_ABOVE_0), FO_PREDICATE_UNKNOWN);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_AND, 2, 0, SIZE_ABOVE_0, FO_NODE_FALSE), FO_PREDICATE_NO);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_OR, 2, 0, SIZE_ABOVE_0, FO_NODE_TRUE), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_OR, 2, 0, SIZE_ABOVE_0, FO_NODE_FALSE), FO_PREDICATE_UNKNOWN);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_NOT, SIZE_ABOVE_0), FO_PREDICATE_UNKNOWN);
    struct fo_stat stat = {.size = -1};
    struct fo_entry_view entry = FILE_A;
    entry.stat = &stat;
    CHECK_EQ(ASK(&entry, SIZE_ABOVE_0), FO_PREDICATE_NO);
    stat.size = INT64_MAX;
    CHECK_EQ(ASK(&entry, SIZE_ABOVE_0), FO_PREDICATE_YES);
}

TEST(types) {
    CHECK_EQ(ASK(&FILE_A, FO_NODE_TYPE, 1 << FO_TYPE_FILE, 0), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_TYPE, 1 << FO_TYPE_DIRECTORY, 0), FO_PREDICATE_NO);
    struct fo_stat stat = {.mode = 0040755};
    struct fo_entry_view entry = FILE_A;
    entry.type = FO_TYPE_UNKNOWN;
    CHECK_EQ(ASK(&entry, FO_NODE_TYPE, 1 << FO_TYPE_DIRECTORY, 0), FO_PREDICATE_UNKNOWN);
    entry.stat = &stat;
    CHECK_EQ(ASK(&entry, FO_NODE_TYPE, 1 << FO_TYPE_DIRECTORY, 0), FO_PREDICATE_YES);
}

TEST(texts) {
    CHECK_EQ(ASK(&FILE_A, FO_NODE_ENDS, FO_TEXT_NAME, 2, 0, 0, 0, '.', 'c'), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_EQUAL, FO_TEXT_SUFFIX, 2, 0, 0, 0, '.', 'c'), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_STARTS, FO_TEXT_PATH, 4, 0, 0, 0, 's', 'r', 'c', '/'), FO_PREDICATE_YES);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_CONTAINS, FO_TEXT_NAME, 1, 0, 0, 0, 'x'), FO_PREDICATE_NO);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_GLOB, FO_TEXT_NAME, 6, 0, 0, 0, FO_GLOB_ONE, FO_GLOB_LITERAL, 1, 0, '.', FO_GLOB_RUN),
             FO_PREDICATE_YES);
}

TEST(malformed) {
    CHECK_EQ(ask((const uint8_t *)"", 0, &FILE_A), -EINVAL);
    CHECK_EQ(ask((const uint8_t *)"\2\1", 2, &FILE_A), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_TRUE, FO_NODE_TRUE), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, 99), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_AND, 2, 0, FO_NODE_TRUE), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_EQUAL, FO_TEXT_NAME, 2, 0, 0, 0, 'a'), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_EQUAL, 3, 0, 0, 0, 0), -EINVAL);
    CHECK_EQ(ASK(&FILE_A, FO_NODE_GLOB, FO_TEXT_NAME, 1, 0, 0, 0, 77), -EINVAL);
    uint8_t deep[200];
    memset(deep, FO_NODE_NOT, sizeof(deep));
    deep[0] = 1;
    CHECK_EQ(ask(deep, sizeof(deep), &FILE_A), -EINVAL);
}

TEST(characters) {
    uint32_t character;
    CHECK_EQ(fo_glob_character((const uint8_t *)"\xc3\xa9", 2, &character), 2);
    CHECK_EQ(character, 0xE9);
    CHECK_EQ(fo_glob_character((const uint8_t *)"\xf4\x8f\xbf\xbf", 4, &character), 4);
    CHECK_EQ(character, 0x10FFFF);
    static const char *const broken[] = {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xff", "\x80"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        CHECK_EQ(fo_glob_character((const uint8_t *)broken[i], strlen(broken[i]), &character), 1);
        CHECK_EQ(character, 0xDC00 + (unsigned char)broken[i][0]);
    }
}

MAIN(RUN(constants), RUN(unknown_only_where_it_matters), RUN(types), RUN(texts), RUN(malformed), RUN(characters))
