#include "check.h"
#include "scan.h"

static bool valid(const char *text) { return fo_utf8_valid(text, strlen(text)); }

TEST(well_formed) {
    const char *texts[] = {"", "a", "plain ASCII of some length", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xbc"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK(valid(texts[i]));
    }
}

TEST(malformed) {
    const char *texts[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2" "a", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80",
                           "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "1234567\xc3", "12345678\xfe"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK(!valid(texts[i]));
    }
}

TEST(never_beyond_the_end) {
    CHECK(!fo_utf8_valid("\xe2\x82\xac", 2));
    CHECK(fo_utf8_valid("\xe2\x82\xac", 3));
}

MAIN(RUN(well_formed), RUN(malformed), RUN(never_beyond_the_end))
