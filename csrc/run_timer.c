/* Deadlines: a binary heap that knows where each slot stands, so that a child which ends takes its timer along. */
#include <errno.h>
#include <stdlib.h>

#include "run.h"

int run_timers_grow(struct run_timers *timers, uint32_t capacity) {
    if (capacity <= timers->capacity) {
        return 0;
    }
    struct run_timer *heap = realloc(timers->heap, capacity * sizeof *heap);
    if (heap == NULL) {
        return -ENOMEM;
    }
    timers->heap = heap;
    uint32_t *place = realloc(timers->place, capacity * sizeof *place);
    if (place == NULL) {
        return -ENOMEM;
    }
    timers->place = place;
    for (uint32_t slot = timers->capacity; slot < capacity; slot++) {
        place[slot] = 0;
    }
    timers->capacity = capacity;
    return 0;
}

static void put(struct run_timers *timers, uint32_t index, struct run_timer timer) {
    timers->heap[index] = timer;
    timers->place[timer.slot] = index + 1;
}

static void rise(struct run_timers *timers, uint32_t index) {
    struct run_timer timer = timers->heap[index];
    while (index > 0 && timers->heap[(index - 1) / 2].when > timer.when) {
        put(timers, index, timers->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(timers, index, timer);
}

static void sink(struct run_timers *timers, uint32_t index) {
    struct run_timer timer = timers->heap[index];
    for (;;) {
        uint32_t below = 2 * index + 1;
        if (below + 1 < timers->count && timers->heap[below + 1].when < timers->heap[below].when) {
            below++;
        }
        if (below >= timers->count || timers->heap[below].when >= timer.when) {
            break;
        }
        put(timers, index, timers->heap[below]);
        index = below;
    }
    put(timers, index, timer);
}

static void take_out(struct run_timers *timers, uint32_t index) {
    timers->place[timers->heap[index].slot] = 0;
    struct run_timer last = timers->heap[--timers->count];
    if (index < timers->count) {
        put(timers, index, last);
        sink(timers, index);
        rise(timers, timers->place[last.slot] - 1);
    }
}

bool run_timers_set(struct run_timers *timers, uint32_t slot, int64_t when) {
    int64_t before = run_timers_next(timers);
    if (timers->place[slot] != 0) {
        take_out(timers, timers->place[slot] - 1);
    }
    if (when != RUN_NEVER) {
        timers->heap[timers->count] = (struct run_timer){.when = when, .slot = slot};
        timers->count++;
        rise(timers, timers->count - 1);
    }
    return run_timers_next(timers) < before;
}

int64_t run_timers_next(const struct run_timers *timers) {
    return timers->count > 0 ? timers->heap[0].when : RUN_NEVER;
}

int64_t run_timers_take(struct run_timers *timers, int64_t now) {
    if (timers->count == 0 || timers->heap[0].when > now) {
        return -1;
    }
    uint32_t slot = timers->heap[0].slot;
    take_out(timers, 0);
    return slot;
}

void run_timers_free(struct run_timers *timers) {
    free(timers->heap);
    free(timers->place);
    *timers = (struct run_timers){0};
}
