/* Waiting, between the C files: the two ways behind fo_wait_process. */
#ifndef FASTOS_WAIT_H
#define FASTOS_WAIT_H

#include <sys/resource.h>

#include "api.h"

/* Fills the result from a status as wait4 gives it. */
void fo_wait_store_status(struct fo_wait_result *result, int status, const struct rusage *usage);

/* Returns the monotonic clock in nanoseconds. */
int64_t fo_wait_now(void);

/* wait4 on a pid: returns as fo_wait_process. */
int fo_wait_pid(int pid, int64_t timeout_ns, struct fo_wait_result *result);

#endif
