/* What a child's standard streams are: pipes, /dev/null, pseudo-terminals, descriptors of the parent. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "spawn.h"

/* Remembers a descriptor to be closed after the fork. Returns it. */
static int opened(struct fo_spawn_plan *plan, int fd) {
    plan->opened[plan->opened_count++] = fd;
    return fd;
}

/* Makes a pipe, both ends close-on-exec. Returns 0 or -errno. */
static int make_pipe(int ends[2]) {
#ifdef __linux__
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
#else
    if (pipe(ends) < 0) {
        return -errno;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
#endif
}

int fo_spawn_above_streams(int fd) {
    if (fd < 0 || fd > 2) {
        return fd;
    }
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (moved < 0) {
        return fd;
    }
    close(fd);
    return moved;
}

/* Opens a pipe for one stream. Returns the child's end or -errno. */
static int open_pipe(struct fo_spawn_plan *plan, struct fo_spawn_result *result, int stream) {
    int ends[2];
    int failed = make_pipe(ends);
    if (failed < 0) {
        return failed;
    }
    int ours = stream == 0 ? 1 : 0;
    result->pipes[stream] = fo_spawn_above_streams(ends[ours]);
    return opened(plan, ends[1 - ours]);
}

/* Opens the slave of a pseudo-terminal. Returns it or -1 with errno. */
static int open_slave(int master) {
    const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
#ifdef TIOCGPTPEER
    int peer = ioctl(master, TIOCGPTPEER, flags);
    if (peer >= 0) {
        return peer;
    }
#endif
    char name[128];
#ifdef __linux__
    return ptsname_r(master, name, sizeof(name)) == 0 ? open(name, flags) : -1;
#else
    const char *found = ptsname(master);
    (void)name;
    return found != NULL ? open(found, flags) : -1;
#endif
}

/* Opens a pseudo-terminal of the size asked for. Returns the slave or -errno. */
static int open_terminal(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) {
        return -errno;
    }
    master = result->pty = fo_spawn_above_streams(master);
    struct winsize size = {.ws_row = plan->request->pty_rows, .ws_col = plan->request->pty_columns};
    if (grantpt(master) < 0 || unlockpt(master) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) {
        return -errno;
    }
    int slave = open_slave(master);
    return slave < 0 ? -errno : opened(plan, slave);
}

/* Returns the slave of the plan's one terminal, opened on first use, or -errno. */
static int terminal_of(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    if (plan->terminal < 0 || result->pty < 0) {
        int slave = open_terminal(plan, result);
        if (slave < 0) {
            return slave;
        }
        plan->terminal = slave;
    }
    return plan->terminal;
}

/* Returns the descriptor that one stream shall be, -1 to inherit, or -errno - 1. */
static int source_of(struct fo_spawn_plan *plan, struct fo_spawn_result *result, int stream, int kind, int output) {
    int fd = kind;
    switch (kind) {
    case FO_STREAM_INHERIT:
        return -1;
    case FO_STREAM_STDOUT:
        return output;
    case FO_STREAM_PIPE:
        fd = open_pipe(plan, result, stream);
        break;
    case FO_STREAM_NULL:
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        fd = fd < 0 ? -errno : opened(plan, fd);
        break;
    case FO_STREAM_PTY:
        fd = terminal_of(plan, result);
        break;
    default:
        fd = kind < 0 ? -EINVAL : kind;
    }
    return fd < 0 ? fd - 1 : fd;
}

/* Puts a move in its place, ascending by target. */
static void add_move(struct fo_spawn_plan *plan, int source, int target) {
    int place = plan->move_count++;
    for (; place > 0 && plan->moves[place - 1].target > target; place--) {
        plan->moves[place] = plan->moves[place - 1];
    }
    plan->moves[place] = (struct fo_spawn_move){.source = source, .target = target};
    plan->highest = source > plan->highest ? source : plan->highest;
}

int fo_spawn_open_streams(struct fo_spawn_plan *plan, struct fo_spawn_result *result) {
    const struct fo_spawn_request *request = plan->request;
    int output = 1;
    for (int stream = 0; stream < 3; stream++) {
        int source = source_of(plan, result, stream, request->streams[stream], output);
        if (source < -1) {
            plan->report.index = stream;
            return source + 1;
        }
        if (source >= 0) {
            add_move(plan, source, stream);
        }
        output = stream == 1 && source >= 0 ? source : output;
    }
    for (uint32_t i = 0; i < request->descriptor_count; i++) {
        add_move(plan, request->descriptors[i].source, request->descriptors[i].target);
    }
    return 0;
}

void fo_spawn_close_opened(struct fo_spawn_plan *plan) {
    while (plan->opened_count > 0) {
        close(plan->opened[--plan->opened_count]);
    }
}

static void close_one(int32_t *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void fo_spawn_release(struct fo_spawn_result *result) {
    for (int stream = 0; stream < 3; stream++) {
        close_one(&result->pipes[stream]);
    }
    close_one(&result->pty);
    close_one(&result->pidfd);
}
