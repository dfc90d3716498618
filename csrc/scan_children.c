/* The directories found in a directory: put in order, and handed to the frontier. */
#include "scan_visit.h"

static uint64_t ino_of(const struct fo_work *work) {
    return ((const struct fo_directory *)work)->ino;
}

/* One list of two that are in order. */
static struct fo_work *merge(struct fo_work *a, struct fo_work *b) {
    struct fo_work *first = NULL, **end = &first;
    while (a != NULL && b != NULL) {
        struct fo_work **next = ino_of(a) <= ino_of(b) ? &a : &b;
        *end = *next;
        end = &(*end)->next;
        *next = *end;
    }
    *end = a != NULL ? a : b;
    return first;
}

/* The children by inode number: ext4 lists them in the order of a hash, but what the kernel and the disk have of them
 * lies in this one. */
static struct fo_work *in_order(struct fo_work *list) {
    if (list == NULL || list->next == NULL) {
        return list;
    }
    struct fo_work *sorted[32] = {NULL}, *all = NULL; /* sorted[i] has 2^i */
    while (list != NULL) {
        struct fo_work *run = list;
        list = list->next;
        run->next = NULL;
        int i = 0;
        for (; i < 31 && sorted[i] != NULL; i++) {
            run = merge(sorted[i], run);
            sorted[i] = NULL;
        }
        sorted[i] = merge(sorted[i], run);
    }
    for (int i = 0; i < 32; i++) {
        all = merge(sorted[i], all);
    }
    return all;
}

void fo_visit_publish(struct fo_visit *visit) {
    struct fo_scan *scan = visit->scan;
    struct fo_work *work = in_order(visit->first), *first = NULL, *last = NULL;
    int count = 0;
    while (work != NULL) {
        struct fo_work *next = work->next;
        if (((struct fo_directory *)work)->follow) {
            fo_frontier_defer(scan, work);
        } else {
            work->next = NULL;
            last == NULL ? (void)(first = work) : (void)(last->next = work);
            last = work;
            count++;
        }
        work = next;
    }
    if (first != NULL) {
        fo_frontier_push(scan, first, last, count);
    }
    visit->first = visit->last = NULL;
    visit->children = 0;
}
