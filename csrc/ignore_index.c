/* Names out of git's index: versions 2, 3 and 4, whole or split (gitformat-index(5)). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ignore.h"

enum { HEADER_SIZE = 12, STAT_SIZE = 40, FLAG_EXTENDED = 0x4000, MODE_AT = 24, GITLINK = 0160000, TYPE_BITS = 0170000 };

struct reader {
    struct fo_index *index;
    const uint8_t *data, *at, *end;
    size_t hash_size, version;
    size_t used, room; /* of index->storage */
    size_t previous, previous_length; /* where the last name is in it; version 4 builds on it */
};

static uint32_t read_big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Makes room for `more` bytes of names. Returns 0 or -ENOMEM. */
static int reserve(struct reader *r, size_t more) {
    if (r->used + more <= r->room)
        return 0;
    size_t room = 2 * r->room + more + 4096;
    char *storage = realloc(r->index->storage, room);
    if (!storage)
        return -ENOMEM;
    r->index->storage = storage;
    r->room = room;
    return 0;
}

/* Reads git's offset varint. Returns 0 or -EINVAL. */
static int read_varint(struct reader *r, uint64_t *value) {
    *value = 0;
    for (int i = 0; i < 9 && r->at < r->end; i++) {
        uint8_t byte = *r->at++;
        *value = *value << 7 | (byte & 0x7F);
        if (!(byte & 0x80))
            return 0;
        (*value)++;
    }
    return -EINVAL;
}

/* Stores the name at r->at, `kept` bytes of the one before in front of it. Returns 0, -EINVAL or -ENOMEM. */
static int read_name(struct reader *r, size_t kept) {
    const uint8_t *zero = memchr(r->at, '\0', (size_t)(r->end - r->at));
    if (!zero)
        return -EINVAL;
    size_t rest = (size_t)(zero - r->at), length = kept + rest;
    if (length > UINT32_MAX || reserve(r, length) < 0)
        return length > UINT32_MAX ? -EINVAL : -ENOMEM;
    char *name = r->index->storage + r->used;
    memcpy(name, r->index->storage + r->previous, kept);
    memcpy(name + kept, r->at, rest);
    r->previous = r->used;
    r->previous_length = length;
    r->used += length;
    r->at = zero + 1;
    return 0;
}

static int read_compressed_name(struct reader *r) {
    uint64_t dropped = 0;
    if (read_varint(r, &dropped) < 0 || dropped > r->previous_length)
        return -EINVAL;
    return read_name(r, r->previous_length - (size_t)dropped);
}

/* Names of versions 2 and 3 are padded: the entry's size is a multiple of 8, with 1 to 8 zero bytes. */
static int read_padded_name(struct reader *r, const uint8_t *entry) {
    int result = read_name(r, 0);
    if (result < 0)
        return result;
    size_t size = ((size_t)(r->at - 1 - entry) + 8) & ~(size_t)7;
    if (size > (size_t)(r->end - entry))
        return -EINVAL;
    r->at = entry + size;
    return 0;
}

/* Reads one entry. Returns 0, -EINVAL or -ENOMEM. */
static int read_entry(struct reader *r) {
    const uint8_t *entry = r->at;
    size_t fixed = STAT_SIZE + r->hash_size + 2;
    if ((size_t)(r->end - entry) < fixed + 2)
        return -EINVAL;
    uint32_t mode = read_big(entry + MODE_AT);
    unsigned flags = (unsigned)entry[fixed - 2] << 8 | entry[fixed - 1];
    if ((flags & FLAG_EXTENDED) && r->version < 3)
        return -EINVAL;
    r->at += fixed + (flags & FLAG_EXTENDED ? 2 : 0);
    int result = r->version == 4 ? read_compressed_name(r) : read_padded_name(r, entry);
    if (result < 0)
        return result;
    r->index->names[r->index->count++] =
        (struct fo_index_name){r->previous, (uint32_t)r->previous_length, (mode & TYPE_BITS) == GITLINK};
    return 0;
}

/* Looks for the extension that makes a split index. Returns 0, or -ENOTSUP if it is there and names a base. */
static int check_extensions(const struct reader *r) {
    const uint8_t *at = r->at, *end = r->end - r->hash_size;
    while (at + 8 <= end) {
        size_t size = read_big(at + 4);
        if (size > (size_t)(end - at - 8))
            return 0;
        if (memcmp(at, "link", 4) == 0)
            for (size_t i = 0; i < r->hash_size && i < size; i++)
                if (at[8 + i])
                    return -ENOTSUP;
        at += 8 + size;
    }
    return 0;
}

int fo_index_parse(struct fo_index *index, const uint8_t *data, size_t length, size_t hash_size, int git_fd) {
    (void)git_fd;
    if (length < HEADER_SIZE + hash_size || memcmp(data, "DIRC", 4) != 0)
        return -EINVAL;
    struct reader r = {.index = index, .data = data, .at = data + HEADER_SIZE, .end = data + length,
                       .hash_size = hash_size, .version = read_big(data + 4)};
    size_t count = read_big(data + 8);
    if (r.version < 2 || r.version > 4)
        return -ENOTSUP;
    if (count > length / (STAT_SIZE + hash_size))
        return -EINVAL;
    index->names = calloc(count ? count : 1, sizeof(*index->names));
    if (!index->names || reserve(&r, 1) < 0)
        return -ENOMEM;
    int result = 0;
    while (result == 0 && index->count < count)
        result = read_entry(&r);
    return result < 0 ? result : check_extensions(&r);
}

int fo_index_read(struct fo_index *index, int git_fd, size_t hash_size) {
    char *data;
    size_t length;
    int result = fo_file_read(git_fd, "index", 0, &data, &length);
    if (result < 0)
        return fo_file_is_absent(result) ? 0 : result;
    result = fo_index_parse(index, (const uint8_t *)data, length, hash_size, git_fd);
    free(data);
    return result;
}

void fo_index_clear(struct fo_index *index) {
    free(index->names);
    free(index->storage);
    *index = (struct fo_index){0};
}

/* The order of the index: by bytes, the shorter first. */
static int compare(const struct fo_index *index, size_t which, const char *path, size_t length) {
    const struct fo_index_name *name = &index->names[which];
    size_t shorter = name->length < length ? name->length : length;
    int order = memcmp(index->storage + name->offset, path, shorter);
    if (order != 0)
        return order;
    return (name->length > length) - (name->length < length);
}

/* Returns the first name that is not below the path. */
static size_t lower_bound(const struct fo_index *index, const char *path, size_t length) {
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(index, middle, path, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether a name is below the directory `path`: -1 it sorts before what is, 0 yes, 1 behind. */
static int compare_below(const struct fo_index *index, size_t which, const char *path, size_t length) {
    const struct fo_index_name *name = &index->names[which];
    const char *text = index->storage + name->offset;
    if (name->length <= length)
        return compare(index, which, path, length) > 0 ? 1 : -1;
    int order = memcmp(text, path, length);
    return order ? order : (unsigned char)text[length] - '/';
}

static bool has_below(const struct fo_index *index, size_t from, const char *path, size_t length) {
    size_t low = from, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_below(index, middle, path, length);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int fo_index_find(const struct fo_index *index, const char *path, size_t length) {
    size_t at = lower_bound(index, path, length);
    if (at < index->count && compare(index, at, path, length) == 0)
        return index->names[at].is_gitlink ? FO_INDEX_GITLINK : FO_INDEX_ENTRY;
    return has_below(index, at, path, length) ? FO_INDEX_DIRECTORY : FO_INDEX_NONE;
}
