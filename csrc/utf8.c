/* Whether bytes are well-formed UTF-8 (Unicode, table 3-7). */
#include <stdint.h>
#include <string.h>

#include "scan.h"

/* The length of a character that begins with `lead`, and the bounds of its second byte; 0 for no such character. */
static size_t begin(uint8_t lead, uint8_t *least, uint8_t *most) {
    *least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0xC2) {
        return 0;
    }
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

/* The length of the character of several bytes at text, 0 if it is none. */
static size_t character(const uint8_t *text, size_t left) {
    uint8_t least, most;
    size_t length = begin(text[0], &least, &most);
    if (length == 0 || length > left || text[1] < least || text[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool fo_utf8_valid(const char *text, size_t length) {
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t at = 0; at < length;) {
        uint64_t word;
        if (length - at >= sizeof word) {
            memcpy(&word, bytes + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof word;
                continue;
            }
        }
        size_t size = bytes[at] < 0x80 ? 1 : character(bytes + at, length - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}
