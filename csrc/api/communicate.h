/* Feeding a process and reading what it writes, at once, through pipes that the caller has. */

/* Descriptors are -1 where there is no such pipe, and are set to -1 when they are done with; the caller closes them.
 * Start from all zero but the descriptors and the input; keep it for the next call after a timeout. */
struct fo_communication {
    int32_t input_fd;
    int32_t output_fds[2];
    int32_t reserved;
    const char *input;
    uint64_t input_length;
    uint64_t input_offset; /* what was written so far */
    char *outputs[2];      /* what was read so far; fo_communicate_free gives it back */
    uint64_t lengths[2];
    uint64_t capacities[2];
};

enum fo_communicate_state {
    FO_COMMUNICATE_TIME = 0, /* the time ran out */
    FO_COMMUNICATE_DONE = 1, /* both outputs are at their end and there is no more to write */
    FO_COMMUNICATE_FED = 2   /* the input is written, or nobody reads it: close its pipe and go on */
};

/* Writes the input and reads both outputs. timeout_ns: negative waits for ever.
 * Returns enum fo_communicate_state, -EINTR when a signal came (call again), or -errno. */
int fo_communicate(struct fo_communication *talk, int64_t timeout_ns);

/* Frees what was read. */
void fo_communicate_free(struct fo_communication *talk);
