/* Whole paths from a batch in the names layout. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* A directory of the dictionary, and whether a slash stands between it and a name. */
struct folder {
    const char *path;
    size_t length, slash;
};

static struct folder folder_of(const struct fo_batch *batch, int32_t entry) {
    int32_t index = batch->directory[entry];
    const int32_t *offsets = batch->directory_offsets + index;
    struct folder folder = {batch->directories + offsets[0], (size_t)(offsets[1] - offsets[0]), 0};
    folder.slash = folder.length > 0 && folder.path[folder.length - 1] != '/';
    return folder;
}

static size_t name_length(const struct fo_batch *batch, int32_t entry) {
    return (size_t)(batch->name_offsets[entry + 1] - batch->name_offsets[entry]);
}

int fo_batch_paths(const struct fo_batch *batch, char **out, int64_t *size) {
    size_t total = 0;
    for (int32_t i = 0; i < batch->count; i++) {
        struct folder folder = folder_of(batch, i);
        total += folder.length + folder.slash + name_length(batch, i) + 1;
    }
    char *end = *out = malloc(total + 1);
    if (end == NULL) {
        return -ENOMEM;
    }
    for (int32_t i = 0; i < batch->count; i++) {
        struct folder folder = folder_of(batch, i);
        memcpy(end, folder.path, folder.length);
        end += folder.length;
        if (folder.slash) {
            *end++ = '/';
        }
        memcpy(end, batch->names + batch->name_offsets[i], name_length(batch, i));
        end += name_length(batch, i);
        *end++ = '\0';
    }
    *size = (int64_t)total;
    return 0;
}

int fo_batch_free_paths(char *paths) {
    free(paths);
    return 0;
}
