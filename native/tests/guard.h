/* Memory whose last byte is followed by a page that may not be touched: an over-read of one byte ends the program. */
#ifndef EVCORE_GUARD_H
#define EVCORE_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    uint8_t *end; /* the forbidden page begins here */
    size_t room;  /* bytes before it */
} guarded;

/* Room for at least `size` bytes; ends the program if there is none. Lives until the program ends. */
static inline guarded guard_open(size_t size) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size / page + 1) * page;
    uint8_t *start = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + room, page, PROT_NONE) != 0) abort();
    return (guarded){start + room, room};
}

/* The same bytes, ending exactly where the forbidden page begins. */
static inline const uint8_t *guard_copy(const guarded *g, const void *data, size_t len) {
    if (len > g->room) abort();
    if (len > 0) memcpy(g->end - len, data, len);
    return g->end - len;
}

#endif
