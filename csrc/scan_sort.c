/* Sorting: everything is read, ordered by the bytes of its path, and handed out again in new batches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* An entry to be ordered: the next bytes of its path as a number, so that most comparisons need no memory. */
struct row {
    uint64_t head;
    const char *path;
    struct fo_batch *batch;
    int32_t index;
};

static int compare(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    if (a->head != b->head) {
        return a->head < b->head ? -1 : 1;
    }
    return strcmp(a->path, b->path);
}

/* The first eight bytes after those that all paths share, as a big-endian number, zeros after the end. */
static uint64_t head_of(const char *path, size_t shared) {
    uint64_t head = 0;
    path += shared;
    for (int i = 0; i < 8; i++) {
        head = head << 8 | (uint8_t)*path;
        path += *path != '\0';
    }
    return head;
}

static size_t total_of(const struct fo_batch *batch) {
    size_t total = 0;
    for (; batch != NULL; batch = batch->next) {
        total += (size_t)batch->count;
    }
    return total;
}

int fo_scan_order(struct fo_scan *scan) {
    size_t total = total_of(scan->sorted);
    struct row *rows = malloc((total + 1) * sizeof *rows);
    if (rows == NULL) {
        return -ENOMEM;
    }
    size_t at = 0;
    for (struct fo_batch *batch = scan->sorted; batch != NULL; batch = batch->next) {
        const char *path = batch->names;
        for (int32_t i = 0; i < batch->count; i++, path += strlen(path) + 1) {
            size_t length = strnlen(path, scan->prefix_length);
            rows[at++] = (struct row){head_of(path, length), path, batch, i};
        }
    }
    qsort(rows, total, sizeof *rows, compare);
    scan->order = rows;
    scan->order_length = total;
    return 0;
}

/* Takes all batches there are; at the end of the scan orders them. Returns 0 if there is more to come, 1 if not, -ENOMEM. */
static int gather(struct fo_scan *scan, int64_t deadline) {
    struct fo_batch *batch = NULL;
    int result;
    while ((result = fo_queue_get(scan, deadline, &batch)) == 1) {
        batch->next = scan->sorted;
        scan->sorted = batch;
    }
    if (result <= 0) {
        return result;
    }
    result = fo_scan_order(scan);
    return result < 0 ? result : 1;
}

/* Copies a row into a batch. Returns 0 or -ENOMEM. */
static int copy_row(struct fo_scan *scan, struct fo_batch *to, const struct row *row) {
    struct fo_stat stat = {0};
    fo_batch_row(row->batch, row->index, &stat);
    return fo_batch_append(to, &(struct fo_batch_entry){.prefix = "", .name = row->path, .name_length = strlen(row->path),
                                                        .type = row->batch->type[row->index],
                                                        .stat = scan->options.fields != 0 ? &stat : NULL});
}

/* All errors go with the first batch. */
static int copy_errors(struct fo_scan *scan, struct fo_batch *to) {
    for (struct fo_batch *from = scan->sorted; from != NULL; from = from->next) {
        const char *path = from->error_paths;
        for (int32_t i = 0; i < from->error_count; i++, path += strlen(path) + 1) {
            if (fo_batch_error(to, from->error_numbers[i], path, strlen(path), NULL, 0) < 0) {
                return -ENOMEM;
            }
        }
        from->error_count = 0;
    }
    return 0;
}

int fo_scan_ordered_next(struct fo_scan *scan, struct fo_batch **out, int64_t deadline) {
    if (scan->order == NULL) {
        int result = gather(scan, deadline);
        if (result <= 0) {
            return result;
        }
    }
    struct fo_batch *batch = fo_batch_take(scan, FO_SCAN_BATCH_ENTRIES);
    if (batch == NULL) {
        return -ENOMEM;
    }
    const struct row *rows = scan->order;
    int failed = scan->order_next == 0 ? copy_errors(scan, batch) : 0;
    while (failed == 0 && scan->order_next < scan->order_length && batch->count < batch->limit &&
           batch->names_size < FO_SCAN_BATCH_BYTES) {
        failed = copy_row(scan, batch, &rows[scan->order_next++]);
    }
    if (failed < 0 || fo_batch_empty(batch)) {
        fo_batch_free(batch);
        return failed < 0 ? failed : 2;
    }
    *out = batch;
    return 1;
}

void fo_scan_order_clear(struct fo_scan *scan) {
    while (scan->sorted != NULL) {
        struct fo_batch *next = scan->sorted->next;
        fo_batch_free(scan->sorted);
        scan->sorted = next;
    }
    free(scan->order);
    scan->order = NULL;
}
