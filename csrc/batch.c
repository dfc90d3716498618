/* A batch: entries as columns, laid out as Arrow lays out its arrays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* A pickle of protocol 4: PROTO, MARK, the paths, TUPLE, STOP; around one path there are at most PICKLE_MOST bytes. */
#define PICKLE_BEGIN "\x80\x04("
#define PICKLE_END "t."
enum { PICKLE_BEGIN_LENGTH = 3, PICKLE_END_LENGTH = 2, PICKLE_MOST = 10 };

/* Where each column comes from, by the number of its FO_STAT_* bit. */
static const struct {
    uint8_t offset, width;
} SOURCES[13] = {
#define SOURCE(field) {offsetof(struct fo_stat, field), sizeof(((struct fo_stat *)0)->field)}
    {0, 0},           SOURCE(mode),     SOURCE(nlink),    SOURCE(uid),  SOURCE(gid),    SOURCE(atime_ns), SOURCE(mtime_ns),
    SOURCE(ctime_ns), SOURCE(ino),      SOURCE(size),     SOURCE(blocks), SOURCE(btime_ns), SOURCE(dev),
#undef SOURCE
};

/* 64-byte aligned room for count values. */
static void *column(size_t count, size_t width) {
    return aligned_alloc(64, (count * width + 63) & ~(size_t)63);
}

/* Makes *heap hold at least needed bytes. Returns 0 or -ENOMEM. */
static int reserve(char **heap, int64_t *capacity, int64_t needed) {
    if (needed <= *capacity) {
        return 0;
    }
    int64_t size = *capacity > 0 ? *capacity : 4096;
    while (size < needed) {
        size *= 2;
    }
    char *grown = realloc(*heap, (size_t)size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *heap = grown;
    *capacity = size;
    return 0;
}

/* Makes an array of int32_t hold at least needed values. Returns 0 or -ENOMEM. */
static int reserve_numbers(int32_t **numbers, int32_t *capacity, int32_t needed) {
    if (needed <= *capacity) {
        return 0;
    }
    int32_t size = *capacity > 0 ? *capacity * 2 : 64;
    int32_t *grown = realloc(*numbers, (size_t)size * sizeof **numbers);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *numbers = grown;
    *capacity = size;
    return 0;
}

void fo_batch_free(struct fo_batch *batch) {
    if (batch == NULL) {
        return;
    }
    free(batch->name_offsets);
    free(batch->names);
    free(batch->directory);
    free(batch->directory_offsets);
    free(batch->directories);
    free(batch->directory_depths);
    free(batch->type);
    for (int i = 0; i < 13; i++) {
        free(batch->columns[i]);
    }
    free(batch->error_paths);
    free(batch->error_numbers);
    free(batch);
}

/* Allocates the columns asked for. Returns 0 or -ENOMEM. */
static int make_columns(struct fo_batch *batch, const struct fo_scan *scan) {
    size_t capacity = (size_t)batch->capacity;
    bool complete = (batch->type = column(capacity, 1)) != NULL;
    for (int i = 1; i < 13; i++) {
        if (scan->options.fields & (1u << i)) {
            complete &= (batch->columns[i] = column(capacity, SOURCES[i].width)) != NULL;
        }
    }
    if (!(scan->options.flags & FO_SCAN_PATHS)) {
        complete &= (batch->name_offsets = column(capacity + 1, sizeof(int32_t))) != NULL;
        complete &= (batch->directory = column(capacity, sizeof(int32_t))) != NULL;
    }
    return complete ? 0 : -ENOMEM;
}

static struct fo_batch *make(struct fo_scan *scan, int32_t capacity) {
    struct fo_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return NULL;
    }
    batch->scan = scan;
    batch->capacity = capacity;
    uint32_t pickle = FO_SCAN_PATHS | FO_SCAN_PICKLE;
    batch->pickled = (scan->options.flags & pickle) == pickle;
    batch->text = (scan->options.flags & FO_SCAN_TEXT) != 0;
    if (make_columns(batch, scan) < 0) {
        fo_batch_free(batch);
        return NULL;
    }
    return batch;
}

static struct fo_batch *from_pool(struct fo_scan *scan, int32_t limit) {
    struct fo_queue *queue = &scan->queue;
    fo_scan_lock(&queue->lock);
    struct fo_batch *batch = queue->pool;
    if (batch != NULL && batch->capacity >= limit) {
        queue->pool = batch->next;
        queue->pooled--;
    } else {
        batch = NULL;
    }
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

struct fo_batch *fo_batch_take(struct fo_scan *scan, int32_t limit) {
    struct fo_batch *batch = from_pool(scan, limit);
    if (batch == NULL && (batch = make(scan, limit)) == NULL) {
        return NULL;
    }
    batch->count = batch->directory_count = batch->error_count = batch->undecoded = 0;
    batch->names_size = batch->directories_size = batch->error_paths_size = 0;
    batch->next = NULL;
    batch->limit = limit;
    batch->born_ns = 0;
    return batch;
}

static void append_columns(struct fo_batch *batch, int32_t at, const struct fo_stat *stat) {
    for (int i = 1; i < 13; i++) {
        char *values = batch->columns[i];
        if (values == NULL) {
            continue;
        }
        const char *source = (const char *)stat + SOURCES[i].offset;
        if (SOURCES[i].width == 8) {
            memcpy(values + (size_t)at * 8, source, 8);
        } else {
            memcpy(values + (size_t)at * 4, source, 4);
        }
    }
}

/* Writes how the pickle of a path begins. Returns its length. (Python's pickletools names the opcodes.) */
static size_t write_opcode(char *out, size_t length, bool text) {
    if (length < 256) {
        out[0] = text ? '\x8c' : 'C'; /* SHORT_BINUNICODE, SHORT_BINBYTES */
        out[1] = (char)length;
        return 2;
    }
    out[0] = text ? 'X' : 'B'; /* BINUNICODE, BINBYTES: the length in little-endian order */
    for (int i = 0; i < 4; i++) {
        out[1 + i] = (char)(length >> (8 * i));
    }
    return 5;
}

/* Writes a whole path, for which there is room, as the layout has it. */
static void append_path(struct fo_batch *batch, const struct fo_batch_entry *entry) {
    char *end = batch->names + batch->names_size;
    if (batch->pickled) {
        bool text = batch->text && entry->text;
        batch->undecoded += batch->text && !text;
        if (batch->count == 0) {
            memcpy(end, PICKLE_BEGIN, PICKLE_BEGIN_LENGTH);
            end += PICKLE_BEGIN_LENGTH;
        }
        end += write_opcode(end, entry->prefix_length + entry->name_length, text);
    }
    memcpy(end, entry->prefix, entry->prefix_length);
    end += entry->prefix_length;
    memcpy(end, entry->name, entry->name_length);
    end += entry->name_length;
    if (!batch->pickled) {
        *end++ = '\0';
    }
    batch->names_size = end - batch->names;
}

void fo_batch_finish(struct fo_batch *batch) {
    if (batch->pickled && batch->count > 0) {
        memcpy(batch->names + batch->names_size, PICKLE_END, PICKLE_END_LENGTH);
        batch->names_size += PICKLE_END_LENGTH;
    }
}

int fo_batch_append(struct fo_batch *batch, const struct fo_batch_entry *entry) {
    int64_t needed = batch->names_size + (int64_t)(entry->prefix_length + entry->name_length) + PICKLE_MOST;
    if (needed > batch->names_capacity && reserve(&batch->names, &batch->names_capacity, needed) < 0) {
        return -ENOMEM;
    }
    int32_t at;
    if (batch->name_offsets == NULL) {
        append_path(batch, entry);
        at = batch->count++;
    } else {
        char *end = batch->names + batch->names_size;
        at = batch->count++;
        memcpy(end, entry->name, entry->name_length);
        batch->names_size += (int64_t)entry->name_length;
        batch->name_offsets[0] = 0;
        batch->name_offsets[at + 1] = (int32_t)batch->names_size;
        batch->directory[at] = entry->directory;
    }
    batch->type[at] = entry->type;
    if (entry->stat != NULL) {
        append_columns(batch, at, entry->stat);
    }
    return 0;
}

void fo_batch_row(const struct fo_batch *batch, int32_t index, struct fo_stat *stat) {
    for (int i = 1; i < 13; i++) {
        const char *values = batch->columns[i];
        if (values != NULL) {
            memcpy((char *)stat + SOURCES[i].offset, values + (size_t)index * SOURCES[i].width, SOURCES[i].width);
        }
    }
}

/* Room for one directory more in the dictionary. Returns 0 or -ENOMEM. */
static int reserve_directory(struct fo_batch *batch, size_t length) {
    int32_t depths_capacity = batch->directory_capacity;
    int32_t needed = batch->directory_count + 2;
    if (reserve_numbers(&batch->directory_depths, &depths_capacity, needed) < 0 ||
        reserve_numbers(&batch->directory_offsets, &batch->directory_capacity, needed) < 0) {
        return -ENOMEM;
    }
    int64_t size = batch->directories_size + (int64_t)length + 1;
    return reserve(&batch->directories, &batch->directories_capacity, size);
}

int32_t fo_batch_directory(struct fo_batch *batch, const char *path, size_t length, int32_t depth) {
    if (reserve_directory(batch, length) < 0) {
        return -ENOMEM;
    }
    memcpy(batch->directories + batch->directories_size, path, length);
    batch->directories_size += (int64_t)length;
    int32_t index = batch->directory_count++;
    batch->directory_offsets[0] = 0;
    batch->directory_offsets[index + 1] = (int32_t)batch->directories_size;
    batch->directory_depths[index] = depth;
    return index;
}

int fo_batch_error(struct fo_batch *batch, int number, const char *path, size_t length, const char *name,
                   size_t name_length) {
    int64_t needed = batch->error_paths_size + (int64_t)(length + name_length) + 1;
    if (reserve_numbers(&batch->error_numbers, &batch->error_capacity, batch->error_count + 1) < 0 ||
        reserve(&batch->error_paths, &batch->error_paths_capacity, needed) < 0) {
        return -ENOMEM;
    }
    char *end = batch->error_paths + batch->error_paths_size;
    memcpy(end, path, length);
    if (name_length > 0) {
        memcpy(end + length, name, name_length);
    }
    batch->error_paths[needed - 1] = '\0';
    batch->error_paths_size = needed;
    batch->error_numbers[batch->error_count++] = number;
    return 0;
}
