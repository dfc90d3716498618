/* Waiting, between the C files: the two ways behind fo_wait_process. */
#ifndef FASTOS_WAIT_H
#define FASTOS_WAIT_H

#include <sys/resource.h>

#include "api.h"
#include "clock.h"

/* Fills the result from a status as wait4 gives it. */
void fo_wait_store_status(struct fo_wait_result *result, int status, const struct rusage *usage);

/* Waits until the pidfd says that its process ended, without taking the status; for other threads than the one
 * that takes it. Returns 1 if it ended, 0 if the time ran out, or -errno. */
int fo_wait_readable(int pidfd, int64_t timeout_ns);

/* wait4 on a pid: returns as fo_wait_process. */
int fo_wait_pid(int pid, int64_t timeout_ns, struct fo_wait_result *result);

#endif
