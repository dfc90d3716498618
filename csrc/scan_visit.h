/* One worker in one directory: what scan_directory.c, scan_children.c and scan_entry.c share. */
#ifndef FASTOS_SCAN_VISIT_H
#define FASTOS_SCAN_VISIT_H

#include "scan.h"

struct fo_visit {
    struct fo_worker *worker;
    struct fo_scan *scan;
    struct fo_directory *directory;
    int fd;
    bool alone;              /* nobody else has, or has had, work in the directory */
    size_t prefix_length;    /* of worker->prefix, the directory's path with its slash */
    int32_t index;           /* of the directory in the worker's batch, -1 if it is not there yet */
    struct fo_work *first, *last; /* children found, not yet in the frontier */
    int children;
};

/* Does with one entry what the scan asks for: tests it, appends it to the batch, notes it as a child to be read.
 * Failures become error entries. */
void fo_visit_entry(struct fo_visit *visit, const struct fo_dent *dent);

/* Hands the children found to the frontier. The parent's descriptor has to know of them before. */
void fo_visit_publish(struct fo_visit *visit);

/* Adds an error at the directory itself (name NULL), or at an entry in it. */
void fo_visit_error(struct fo_visit *visit, int number, const char *name, size_t name_length);

/* The batch to append to, never full. Returns NULL if memory is short; the scan then ends. */
struct fo_batch *fo_visit_batch(struct fo_visit *visit);

#endif
