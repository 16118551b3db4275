/* JSON, written: each function writes at `out`, where there must be room, and returns one past its last byte. Nothing
 * is terminated, allocated or kept. Thread-safe. */
#ifndef EVCORE_JSON_WRITE_H
#define EVCORE_JSON_WRITE_H

#include <stddef.h>
#include <stdint.h>

enum {
    EV_JSON_INTEGER_MAX = 20, /* bytes of the longest int64 */
    EV_JSON_REAL_MAX = 24,    /* bytes that ev_json_put_real writes at most */
};

/* Bytes that a string of `len` bytes may become with its quotes: each one a \u escape. */
static inline size_t ev_json_text_room(size_t len) {
    return 6 * len + 2;
}

/* A string with its quotes. text: valid UTF-8, may be NULL if len is 0. Escaped is what must be (RFC 8259, 7): quote,
 * backslash, U+0000 to U+001F; the five of these with a short form in it, the others as \u00xx. */
uint8_t *ev_json_put_text(uint8_t *out, const uint8_t *text, size_t len);

/* Room: EV_JSON_INTEGER_MAX. */
uint8_t *ev_json_put_integer(uint8_t *out, int64_t value);

/* The shortest digits that read back as this double, always with a point; NULL: this one cannot tell them (no finite
 * number, more than 15 digits, more than 9 of them after the point), and nothing was written. tenths: whether it is a
 * multiple of 0.1 by these digits. Room: EV_JSON_REAL_MAX. */
uint8_t *ev_json_put_real(uint8_t *out, double value, int *tenths);

#endif
