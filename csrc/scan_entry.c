/* What becomes of one entry: cheap tests first, metadata only for those that need it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "scan_visit.h"

/* An entry on its way. */
struct entry {
    struct fo_visit *visit;
    const struct fo_dent *dent;
    struct fo_entry_view view;
    struct fo_stat stat;
    bool gone; /* it could not be looked at: an error was noted */
    bool linked; /* a symbolic link that is followed; view and stat tell of its target */
};

struct fo_batch *fo_visit_batch(struct fo_visit *visit) {
    struct fo_worker *worker = visit->worker;
    if (worker->batch != NULL && fo_batch_full(worker->batch)) {
        fo_queue_put(worker, worker->batch);
        worker->batch = NULL;
    }
    if (worker->batch == NULL) {
        /* Workers that mostly wait are many: their batches are smaller. */
        int32_t limit = worker->inlined ? 512 : worker->slot < 8 ? FO_SCAN_BATCH_ENTRIES : 512;
        worker->batch = fo_batch_take(visit->scan, limit);
        visit->index = -1;
        if (worker->batch == NULL) {
            fo_scan_fail(visit->scan);
        }
    }
    return worker->batch;
}

void fo_visit_error(struct fo_visit *visit, int number, const char *name, size_t name_length) {
    struct fo_worker *worker = visit->worker;
    struct fo_batch *batch = fo_visit_batch(visit);
    size_t length = visit->prefix_length;
    if (batch == NULL) {
        return;
    }
    if (name == NULL) {
        /* The directory itself: without the slash, the root as it was given. */
        length = visit->directory->parent == NULL ? visit->scan->root_length : length - 1;
    }
    if (fo_batch_error(batch, number, worker->prefix, length, name, name_length) < 0) {
        fo_scan_fail(visit->scan);
    }
}

/* Gets the metadata that whoever asks may need: all at once, so that there is one call. */
static bool look(struct entry *entry) {
    struct fo_visit *visit = entry->visit;
    if (entry->gone || entry->view.stat != NULL) {
        return !entry->gone;
    }
    int flags = entry->linked ? 0 : AT_SYMLINK_NOFOLLOW;
    fo_worker_park(visit->worker);
    int result = fo_stat_at(visit->fd, entry->dent->name, flags, visit->scan->stat_mask, &entry->stat);
    fo_worker_unpark(visit->worker);
    if ((++visit->worker->looks & 7) == 0) {
        fo_worker_pulse(visit->worker);
    }
    if (result < 0) {
        entry->gone = true;
        fo_visit_error(visit, -result, entry->dent->name, entry->dent->name_length);
        return false;
    }
    entry->view.stat = &entry->stat;
    if (entry->view.type == FO_TYPE_UNKNOWN) {
        entry->view.type = (uint8_t)fo_stat_type(entry->stat.mode);
    }
    return true;
}

/* A symbolic link where those are followed: becomes its target, or stays what it is if that is not there. */
static void follow(struct entry *entry) {
    struct fo_visit *visit = entry->visit;
    struct fo_stat target;
    fo_worker_park(visit->worker);
    int result = fo_stat_at(visit->fd, entry->dent->name, 0, visit->scan->stat_mask, &target);
    fo_worker_unpark(visit->worker);
    if (result == 0) {
        entry->stat = target;
        entry->view.stat = &entry->stat;
        entry->view.type = (uint8_t)fo_stat_type(target.mode);
        entry->linked = true;
    }
}

/* The answer of a predicate, with the metadata if it asks for it. */
static bool wanted(struct entry *entry, const struct fo_predicate *predicate) {
    int answer = fo_predicate_test(predicate, &entry->view);
    if (answer == FO_PREDICATE_UNKNOWN) {
        if (!look(entry)) {
            return false;
        }
        answer = fo_predicate_test(predicate, &entry->view);
    }
    if (answer < 0) {
        fo_scan_fail(entry->visit->scan);
    }
    return answer == FO_PREDICATE_YES;
}

/* The directory's index in the batch's dictionary. */
static int32_t directory_index(struct fo_visit *visit, struct fo_batch *batch) {
    if (visit->index < 0) {
        size_t length = visit->prefix_length - 1;
        length = visit->directory->parent == NULL ? visit->scan->root_length : length;
        visit->index = fo_batch_directory(batch, visit->worker->prefix, length, visit->directory->depth + 1);
    }
    return visit->index;
}

/* Whether a name in this directory has a path that is UTF-8, where somebody wants to know. */
static bool is_text(const struct fo_visit *visit, const struct fo_dent *dent) {
    return visit->directory->text && (dent->ascii || fo_utf8_valid(dent->name, dent->name_length));
}

static void append(struct fo_visit *visit, const struct fo_dent *dent, uint8_t type, const struct fo_stat *stat) {
    struct fo_batch *batch = fo_visit_batch(visit);
    if (batch == NULL) {
        return;
    }
    struct fo_batch_entry row = {.prefix = visit->worker->prefix,
                                 .prefix_length = visit->prefix_length,
                                 .name = dent->name,
                                 .name_length = dent->name_length,
                                 .text = is_text(visit, dent),
                                 .type = type,
                                 .stat = stat};
    if (batch->name_offsets != NULL) {
        row.directory = directory_index(visit, batch);
    }
    if (row.directory < 0 || fo_batch_append(batch, &row) < 0) {
        fo_scan_fail(visit->scan);
    }
}

static void deliver(struct entry *entry) {
    bool columns = entry->visit->scan->options.fields != 0;
    if (!columns || look(entry)) {
        append(entry->visit, entry->dent, entry->view.type, columns ? &entry->stat : NULL);
    }
}

/* Notes a directory to be read. */
static void enter(struct fo_visit *visit, const struct fo_dent *dent, bool linked) {
    struct fo_directory *child =
        fo_directory_new(visit->directory, dent->name, dent->name_length, visit->directory->depth + 1);
    if (child == NULL) {
        fo_visit_error(visit, ENOMEM, dent->name, dent->name_length);
        return;
    }
    child->ino = dent->ino;
    child->follow = linked;
    child->text = is_text(visit, dent);
    child->work.next = visit->first;
    visit->first = &child->work;
    if (visit->last == NULL) {
        visit->last = &child->work;
    }
    visit->children++;
}

static bool deep_enough(const struct fo_visit *visit) {
    return visit->directory->depth + 1 >= visit->scan->options.min_depth;
}

/* Whether directories found in this one may be read. */
static bool may_descend(const struct fo_visit *visit) {
    int32_t most = visit->scan->options.max_depth;
    return most < 0 || visit->directory->depth + 1 < most;
}

/* Whether a directory is to be read. */
static bool enterable(struct entry *entry) {
    const struct fo_scan_options *options = &entry->visit->scan->options;
    if (entry->view.type != FO_TYPE_DIRECTORY || !may_descend(entry->visit)) {
        return false;
    }
    return options->prune == NULL || !wanted(entry, options->prune);
}

static bool ignored(struct entry *entry) {
    const struct fo_entry_view *view = &entry->view;
    struct fo_ignore *ignore = entry->visit->directory->ignore;
    if (ignore == NULL) {
        return false;
    }
    int result = fo_ignore_match(ignore, view->directory, view->directory_length, view->name, view->name_length,
                                 view->type == FO_TYPE_DIRECTORY);
    if (result < 0) {
        fo_scan_fail(entry->visit->scan);
    }
    return result > 0;
}

/* Finds out what the entry is. Returns false if it cannot be. */
static bool identify(struct entry *entry) {
    bool following = entry->visit->scan->options.flags & FO_SCAN_FOLLOW_SYMLINKS;
    if (entry->view.type == FO_TYPE_UNKNOWN && !look(entry)) {
        return false;
    }
    if (following && entry->view.type == FO_TYPE_SYMLINK) {
        follow(entry);
    }
    return true;
}

void fo_visit_entry(struct fo_visit *visit, const struct fo_dent *dent) {
    const struct fo_scan *scan = visit->scan;
    struct entry entry;
    if (scan->plain && dent->type != FO_TYPE_UNKNOWN) {
        if (deep_enough(visit)) {
            append(visit, dent, dent->type, NULL);
        }
        if (dent->type == FO_TYPE_DIRECTORY && may_descend(visit)) {
            enter(visit, dent, false);
        }
        return;
    }
    entry.visit = visit;
    entry.dent = dent;
    entry.gone = entry.linked = false;
    entry.view = (struct fo_entry_view){
        .name = dent->name, .name_length = dent->name_length, .directory = visit->worker->prefix + scan->prefix_length,
        .type = dent->type, .depth = (uint32_t)visit->directory->depth + 1};
    size_t below = visit->prefix_length - scan->prefix_length;
    entry.view.directory_length = below > 0 ? below - 1 : 0;
    if (!identify(&entry) || ignored(&entry)) {
        return;
    }
    if (deep_enough(visit) &&
        (scan->options.where == NULL || wanted(&entry, scan->options.where))) {
        deliver(&entry);
    }
    if (enterable(&entry)) {
        enter(visit, dent, entry.linked);
    }
}
