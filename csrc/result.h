/* From the C library's way of telling an error (-1 and errno) to the core's (-errno). */
#ifndef FASTOS_RESULT_H
#define FASTOS_RESULT_H

#include <errno.h>
#include <stdint.h>

/* Returns result, or -errno if it is negative. */
static inline int fo_result(int result) {
    return result < 0 ? -errno : result;
}

/* The same for calls that return a size or an offset. */
static inline int64_t fo_result64(int64_t result) {
    return result < 0 ? -(int64_t)errno : result;
}

/* Returns two non-negative ints in one value, the first in the upper half: it saves the caller an out buffer. */
static inline int64_t fo_result_pair(int upper, int lower) {
    return (int64_t)(((uint64_t)(uint32_t)upper << 32) | (uint32_t)lower);
}

#endif
