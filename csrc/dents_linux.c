/* Directory entries by getdents64(2). */
#include "dents.h"

#include <errno.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/syscall.h>

int fo_dents_linux_refill(struct fo_dents *dents) {
    long filled;
    do {
        filled = syscall(SYS_getdents64, dents->fd, dents->buffer, dents->size);
    } while (filled < 0 && errno == EINTR);
    dents->offset = 0;
    dents->filled = filled > 0 ? (size_t)filled : 0;
    if (filled < 0) {
        /* A directory that was removed meanwhile answers ENOENT: it has no more entries. */
        return errno == ENOENT ? 0 : -errno;
    }
    return (int)filled;
}

#else

int fo_dents_linux_refill(struct fo_dents *dents) {
    (void)dents;
    return -ENOSYS;
}

#endif
