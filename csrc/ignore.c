#include "api.h"

#include <errno.h>

int fo_ignore_new(const struct fo_ignore_request *request, struct fo_ignore **out) {
    (void)request;
    *out = NULL;
    return -ENOSYS;
}

int fo_ignore_enter(struct fo_ignore *parent, int dir_fd, const char *path, size_t path_length, unsigned hints,
                    struct fo_ignore **out) {
    (void)dir_fd, (void)path, (void)path_length, (void)hints;
    *out = parent;
    return 0;
}

int fo_ignore_match(const struct fo_ignore *context, const char *directory, size_t directory_length,
                    const char *name, size_t name_length, int is_directory) {
    (void)context, (void)directory, (void)directory_length, (void)name, (void)name_length, (void)is_directory;
    return 0;
}

struct fo_ignore *fo_ignore_hold(struct fo_ignore *context) {
    return context;
}

void fo_ignore_release(struct fo_ignore *context) {
    (void)context;
}
