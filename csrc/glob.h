/* Matching of compiled globs, for predicates and for ignore files.
 *
 * A compiled glob is a sequence of tokens, each one byte and its operands (integers little-endian). Who compiles
 * decides the dialect; the matcher takes time proportional to pattern x text at worst, and allocates nothing.
 *
 *   LITERAL   u16 length, bytes     these bytes
 *   ONE                             any one character
 *   ONE_INNER                       any one character but '/'
 *   RUN                             any characters, also none
 *   RUN_INNER                       any characters but '/', also none
 *   CLASS     u8 flags, u16 count, count x (u32 first, u32 last)   one character in (or, inverted, not in) the ranges
 *   DIRECTORIES                     nothing, or anything that ends in '/'; only at the start or after a literal '/'
 */
#ifndef FASTOS_GLOB_H
#define FASTOS_GLOB_H

#include <stddef.h>
#include <stdint.h>

enum fo_glob_token {
    FO_GLOB_LITERAL = 1,
    FO_GLOB_ONE = 2,
    FO_GLOB_ONE_INNER = 3,
    FO_GLOB_RUN = 4,
    FO_GLOB_RUN_INNER = 5,
    FO_GLOB_CLASS = 6,
    FO_GLOB_DIRECTORIES = 7
};

/* Flags of a class. */
enum {
    FO_GLOB_CLASS_INVERTED = 1,
    FO_GLOB_CLASS_INNER = 2 /* never '/' */
};

/* What a character is. */
enum fo_glob_unit {
    FO_GLOB_BYTES = 0,     /* a byte */
    FO_GLOB_CHARACTERS = 1 /* a well-formed UTF-8 sequence; any other byte b stands alone, as U+DC00 + b */
};

/* Checks a compiled glob that comes from outside. Returns 0, or -EINVAL. */
int fo_glob_check(const uint8_t *code, size_t length);

/* Matches the whole text with a checked glob. Returns 1 or 0. */
int fo_glob_match(const uint8_t *code, size_t code_length, const char *text, size_t text_length,
                  enum fo_glob_unit unit);

/* Reads the character at text[0..length), length > 0. Returns its bytes (1 to 4) and stores its number. */
size_t fo_glob_character(const uint8_t *text, size_t length, uint32_t *character);

#endif
