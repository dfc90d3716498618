/* What tests that start something share. */
#ifndef FASTOS_SPAWNED_H
#define FASTOS_SPAWNED_H

#include <fcntl.h>

#include "api.h"

/* A request for a program: its words, each ended by NUL, and where it is. */
static inline void ask_for(struct fo_spawn_request *request, const char *words, uint32_t count, const char *program) {
    fo_spawn_request_init(request);
    request->arguments = words;
    request->argument_count = count;
    request->candidates = program;
    request->candidate_count = 1;
}

static inline int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

#endif
