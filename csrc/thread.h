/* Threads of the core's own: nobody joins them, and signals are not theirs. */
#ifndef FASTOS_THREAD_H
#define FASTOS_THREAD_H

#include <stddef.h>

/* Starts a detached thread with a stack of so many bytes and every signal blocked: they are the application's.
 * Returns 0 or -errno. */
int fo_thread_start(void *(*run)(void *), void *argument, size_t stack);

#endif
