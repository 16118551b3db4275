/* Finding a name in a schema, inlined. Private to native/src. */
#ifndef EVCORE_SCHEMA_SCAN_H
#define EVCORE_SCHEMA_SCAN_H

#include "evcore/schema.h"
#include "json_scan.h"

/* The same bytes? Reads n of each. */
static inline bool ev_same(const uint8_t *a, const uint8_t *b, size_t n) {
    uint64_t x, y;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            if (x != y) return false;
        }
        memcpy(&x, a + n - 8, 8);
        memcpy(&y, b + n - 8, 8);
        return x == y;
    }
    if (n >= 4) {
        uint32_t u, v, s, t;
        memcpy(&u, a, 4);
        memcpy(&v, b, 4);
        memcpy(&s, a + n - 4, 4);
        memcpy(&t, b + n - 4, 4);
        return u == v && s == t;
    }
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Of first and last bytes and the length. The tables are made from schemas, so nobody can choose what collides. */
static inline uint32_t ev_hash(const uint8_t *p, size_t n) {
    uint64_t h = 0, tail = 0;
    if (n >= 8) {
        memcpy(&h, p, 8);
        memcpy(&tail, p + n - 8, 8);
        h ^= tail << 23 | tail >> 41;
    } else if (n >= 4) {
        uint32_t u, v;
        memcpy(&u, p, 4);
        memcpy(&v, p + n - 4, 4);
        h = (uint64_t)u << 32 | v;
    } else if (n > 0) {
        h = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
    }
    return (uint32_t)((h ^ n) * UINT64_C(0x9E3779B97F4A7C15) >> 48); /* the upper bits hang on all below them */
}

static inline int ev_find(const ev_schema *schema, const ev_schema_node *node, const uint8_t *name, size_t len) {
    if (node->count == 0) return -1;
    const uint8_t *slots = schema->slots + node->slots;
    const ev_schema_member *members = schema->members + node->first;
    for (uint32_t at = ev_hash(name, len) & node->mask; slots[at] != 0; at = (at + 1) & node->mask) {
        const ev_schema_member *member = members + slots[at] - 1;
        if (member->len == len && ev_same(schema->text + member->text, name, len)) return slots[at] - 1;
    }
    return -1;
}

#endif
