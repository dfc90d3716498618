/* The path of a directory, put together from its ancestors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* The length of the path below the root, with a slash after each component. */
static size_t relative_length(const struct fo_directory *directory) {
    size_t length = 0;
    for (; directory->parent != NULL; directory = directory->parent) {
        length += directory->name_length + 1;
    }
    return length;
}

/* Writes that path so that it ends at end. */
static void write_backwards(const struct fo_directory *directory, char *end) {
    for (; directory->parent != NULL; directory = directory->parent) {
        *--end = '/';
        end -= directory->name_length;
        memcpy(end, directory->name, directory->name_length);
    }
}

int64_t fo_scan_prefix(struct fo_worker *worker, const struct fo_directory *directory) {
    const struct fo_scan *scan = worker->scan;
    size_t length = scan->prefix_length + relative_length(directory);
    if (length + 1 > worker->prefix_capacity) {
        size_t capacity = (length + 1) * 2;
        char *grown = realloc(worker->prefix, capacity);
        if (grown == NULL) {
            return -ENOMEM;
        }
        worker->prefix = grown;
        worker->prefix_capacity = capacity;
    }
    memcpy(worker->prefix, scan->root, scan->root_length);
    worker->prefix[scan->prefix_length - 1] = '/';
    write_backwards(directory, worker->prefix + length);
    return (int64_t)length;
}

size_t fo_directory_path(const struct fo_directory *directory, char *out, size_t size) {
    size_t length = relative_length(directory);
    if (length > 0 && length <= size) {
        write_backwards(directory, out + length);
    }
    return length > 0 ? length - 1 : 0;
}
