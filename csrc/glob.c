#include "glob.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Integers in compiled programs are little-endian and unaligned. */
static uint16_t read_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Returns the size of the token at code[0..left), or 0 if it is malformed. */
static size_t token_size(const uint8_t *code, size_t left) {
    size_t size = 1;
    if (code[0] == FO_GLOB_LITERAL && left >= 3)
        size = 3 + (size_t)read_u16(code + 1);
    else if (code[0] == FO_GLOB_CLASS && left >= 4)
        size = 4 + 8 * (size_t)read_u16(code + 2);
    else if (code[0] < FO_GLOB_ONE || code[0] > FO_GLOB_DIRECTORIES || code[0] == FO_GLOB_CLASS)
        return 0;
    return size <= left ? size : 0;
}

/* Whether the token before `directories` lets it begin there: the start, a literal ending in '/', or its like. */
static bool follows_border(const uint8_t *previous, size_t size) {
    return !previous || previous[0] == FO_GLOB_DIRECTORIES ||
           (previous[0] == FO_GLOB_LITERAL && size > 3 && previous[size - 1] == '/');
}

int fo_glob_check(const uint8_t *code, size_t length) {
    const uint8_t *previous = NULL;
    size_t previous_size = 0;
    for (size_t at = 0; at < length;) {
        size_t size = token_size(code + at, length - at);
        if (!size)
            return -EINVAL;
        if (code[at] == FO_GLOB_DIRECTORIES && !follows_border(previous, previous_size))
            return -EINVAL;
        if (code[at] == FO_GLOB_CLASS && code[at + 1] > (FO_GLOB_CLASS_INVERTED | FO_GLOB_CLASS_INNER))
            return -EINVAL;
        previous = code + at;
        previous_size = size;
        at += size;
    }
    return 0;
}

/* Whether a second byte may follow a lead byte: no overlong form, no surrogate, nothing above U+10FFFF. */
static bool second_byte_fits(uint8_t lead, uint8_t second) {
    uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return second >= least && second <= most;
}

size_t fo_glob_character(const uint8_t *text, size_t length, uint32_t *character) {
    uint8_t lead = text[0];
    if (lead < 0x80) {
        *character = lead;
        return 1;
    }
    size_t size = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
    *character = 0xDC00u + lead;
    if (!size || size > length || !second_byte_fits(lead, text[1]))
        return 1;
    uint32_t value = lead & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 1;
        value = value << 6 | (text[i] & 0x3F);
    }
    *character = value;
    return size;
}

static size_t next_character(const uint8_t *text, size_t length, enum fo_glob_unit unit, uint32_t *character) {
    if (unit == FO_GLOB_CHARACTERS)
        return fo_glob_character(text, length, character);
    *character = text[0];
    return 1;
}

static bool class_holds(const uint8_t *class, uint32_t character) {
    bool inverted = class[1] & FO_GLOB_CLASS_INVERTED;
    if ((class[1] & FO_GLOB_CLASS_INNER) && character == '/')
        return false;
    size_t count = read_u16(class + 2);
    for (const uint8_t *range = class + 4; count--; range += 8)
        if (character >= read_u32(range) && character <= read_u32(range + 4))
            return !inverted;
    return inverted;
}

/* Where the matcher is, and where a run lets it try again one character further. */
struct position {
    const uint8_t *code; /* NULL: nowhere */
    const uint8_t *text;
};

struct matcher {
    const uint8_t *code_end, *text_end;
    enum fo_glob_unit unit;
    struct position now;
    struct position inner;    /* the last RUN_INNER */
    struct position crossing; /* the last RUN or DIRECTORIES; no earlier one can match more */
    bool crossing_borders;    /* the crossing one is DIRECTORIES: it stops only behind a '/' */
};

/* Takes the token at now.code, which is no run. Returns whether the text has it. */
static bool take_token(struct matcher *m) {
    const uint8_t *code = m->now.code, *text = m->now.text;
    size_t left = (size_t)(m->text_end - text);
    if (code[0] == FO_GLOB_LITERAL) {
        size_t length = read_u16(code + 1);
        if (length > left || memcmp(code + 3, text, length) != 0)
            return false;
        m->now = (struct position){code + 3 + length, text + length};
        return true;
    }
    if (!left)
        return false;
    uint32_t character;
    size_t size = next_character(text, left, m->unit, &character);
    if (code[0] == FO_GLOB_ONE_INNER && character == '/')
        return false;
    if (code[0] == FO_GLOB_CLASS && !class_holds(code, character))
        return false;
    m->now.code += code[0] == FO_GLOB_CLASS ? 4 + 8 * (size_t)read_u16(code + 2) : 1;
    m->now.text += size;
    return true;
}

/* Where a run may end next, not before `text`: where the literal that follows it begins. */
static const uint8_t *skip(const struct matcher *m, const uint8_t *code, const uint8_t *text) {
    /* A byte of ASCII stands for itself, also among characters of several bytes. */
    if (code == m->code_end || code[0] != FO_GLOB_LITERAL || read_u16(code + 1) == 0 || code[3] >= 0x80) {
        return text;
    }
    const uint8_t *found = memchr(text, code[3], (size_t)(m->text_end - text));
    return found ? found : m->text_end;
}

/* Moves the last inner run on by one character. Returns whether it could. */
static bool retry_inner(struct matcher *m) {
    if (!m->inner.code || m->inner.text == m->text_end || *m->inner.text == '/')
        return false;
    uint32_t character;
    m->inner.text += next_character(m->inner.text, (size_t)(m->text_end - m->inner.text), m->unit, &character);
    m->now = m->inner;
    return true;
}

/* Moves the last crossing run on by one character, or one directory. Returns whether it could. */
static bool retry_crossing(struct matcher *m) {
    if (!m->crossing.code || m->crossing.text == m->text_end)
        return false;
    size_t left = (size_t)(m->text_end - m->crossing.text);
    if (m->crossing_borders) {
        const uint8_t *slash = memchr(m->crossing.text, '/', left);
        if (!slash)
            return false;
        m->crossing.text = slash + 1;
    } else {
        uint32_t character;
        m->crossing.text += next_character(m->crossing.text, left, m->unit, &character);
        m->crossing.text = skip(m, m->crossing.code, m->crossing.text);
    }
    m->inner.code = NULL;
    m->now = m->crossing;
    return true;
}

/* Notes the run at now.code as the place to come back to. */
static void begin_run(struct matcher *m) {
    uint8_t kind = *m->now.code++;
    if (kind == FO_GLOB_RUN_INNER) {
        m->inner = m->now;
        return;
    }
    m->crossing_borders = kind == FO_GLOB_DIRECTORIES;
    if (!m->crossing_borders)
        m->now.text = skip(m, m->now.code, m->now.text);
    m->crossing = m->now;
    m->inner.code = NULL;
}

static bool is_run(uint8_t kind) {
    return kind == FO_GLOB_RUN || kind == FO_GLOB_RUN_INNER || kind == FO_GLOB_DIRECTORIES;
}

int fo_glob_match(const uint8_t *code, size_t code_length, const char *text, size_t text_length,
                  enum fo_glob_unit unit) {
    const uint8_t *bytes = (const uint8_t *)text;
    struct matcher m = {.code_end = code + code_length, .text_end = bytes + text_length, .unit = unit,
                        .now = {code, bytes}};
    for (;;) {
        if (m.now.code == m.code_end) {
            if (m.now.text == m.text_end)
                return 1;
        } else if (is_run(*m.now.code)) {
            if (*m.now.code == FO_GLOB_RUN && m.now.code + 1 == m.code_end)
                return 1;
            begin_run(&m);
            continue;
        } else if (take_token(&m)) {
            continue;
        }
        if (!retry_inner(&m) && !retry_crossing(&m))
            return 0;
    }
}
