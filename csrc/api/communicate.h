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

/* Writes the input and reads both outputs until all of it is written, or nobody reads it, and both are at their end.
 * timeout_ns: negative waits for ever. Returns 1 when it is done, 0 when the time ran out, -EINTR when a signal came
 * (call again), or -errno. Where a descriptor was done with, it is -1 on return. */
int fo_communicate(struct fo_communication *talk, int64_t timeout_ns);

/* Frees what was read. */
void fo_communicate_free(struct fo_communication *talk);
