/* Who is ready: the way that the engine in use has. */
#include <errno.h>

#include "run.h"

int run_poller_open(struct run_poller **poller) {
    *poller = NULL;
#ifdef __linux__
    if (fo_platform_engine() == FO_ENGINE_NATIVE) {
        return run_poller_epoll.open(poller);
    }
#endif
    return run_poller_poll.open(poller);
}

int run_poller_arm(struct run_poller *poller, int fd, enum run_interest interest, uint64_t data, bool first) {
    return poller->way->arm(poller, fd, interest, data, first);
}

void run_poller_forget(struct run_poller *poller, int fd) {
    poller->way->forget(poller, fd);
}

uint64_t run_poller_wait(struct run_poller *poller) {
    return poller->way->wait(poller);
}

void run_poller_wake(struct run_poller *poller) {
    poller->way->wake(poller);
}

void run_poller_timer(struct run_poller *poller, int64_t when) {
    poller->way->timer(poller, when);
}

void run_poller_close(struct run_poller *poller) {
    if (poller != NULL) {
        poller->way->close(poller);
    }
}
