/* Blocks of strings made into the arrays that execve takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spawn.h"

/* Points at each string of a block. Returns where the next array may start. */
static char **point_at(char **array, const char *block, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        array[i] = (char *)(uintptr_t)block;
        block += strlen(block) + 1;
    }
    array[count] = NULL;
    return array + count + 1;
}

/* Returns true if a candidate is certainly not there: then the exec of it would only cost time. A relative one may
 * be there once the child has changed its directory. */
static bool is_missing(const char *path) {
    return path[0] == '/' && faccessat(AT_FDCWD, path, F_OK, 0) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Skips the candidates ahead of the first that may be there; to another user a directory may be closed, which is
 * another error. Returns 0, or -ENOENT if there is none. */
static int skip_missing(struct fo_spawn_plan *plan) {
    while (plan->request->user < 0 && plan->candidates[0] != NULL && plan->candidates[1] != NULL &&
           is_missing(plan->candidates[0])) {
        plan->candidates++;
        plan->first_candidate++;
    }
    return plan->candidates[0] != NULL ? 0 : -ENOENT;
}

/* Returns the size of all arrays of the plan together. */
static size_t total_size(const struct fo_spawn_request *request) {
    size_t strings = (size_t)request->argument_count + request->candidate_count + request->environment_count + 6;
    size_t moves = (size_t)request->descriptor_count + 3;
    size_t groups = request->group_count > 0 ? (size_t)request->group_count : 0;
    return strings * sizeof(char *) + moves * sizeof(struct fo_spawn_move) + groups * sizeof(uint32_t);
}

int fo_spawn_make_strings(struct fo_spawn_plan *plan) {
    const struct fo_spawn_request *request = plan->request;
    if (request->argument_count == 0 || request->arguments == NULL) {
        return -EINVAL;
    }
    size_t size = total_size(request);
    char *memory = plan->space;
    if (size > sizeof(plan->space)) {
        memory = plan->block = malloc(size);
        if (memory == NULL) {
            return -ENOMEM;
        }
    }
    char **array = plan->arguments = (char **)(void *)memory;
    array = plan->candidates = point_at(array, request->arguments, request->argument_count);
    const char *candidates = request->candidates != NULL ? request->candidates : request->arguments;
    array = point_at(array, candidates, request->candidates != NULL ? request->candidate_count : 1);
    plan->environment = environ;
    if (request->environment != NULL) {
        plan->environment = array;
        array = point_at(array, request->environment, request->environment_count);
    }
    plan->moves = (struct fo_spawn_move *)(void *)array;
    plan->groups_seen = (uint32_t *)(void *)(plan->moves + request->descriptor_count + 3);
    return skip_missing(plan);
}
