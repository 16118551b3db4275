/* How json.c and payload.c step over the bytes of JSON: the parts that must be inlined. Private to native/src.
 * `at` moves, `end` is one past the last byte that may be read. */
#ifndef EVCORE_JSON_SCAN_H
#define EVCORE_JSON_SCAN_H

#include "evcore/json.h"
#include <string.h>

/* ---- bytes ---- */

/* Eight bytes, the first one lowest. */
static inline uint64_t ev_load64(const uint8_t *p) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
#else
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | p[i];
    return word;
#endif
}

/* Index of the lowest byte of a mask (of bits 7, 15, ...) that is set. */
static inline unsigned ev_lowest(uint64_t mask) {
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(mask) >> 3;
#else
    unsigned i = 0;
    for (; (mask & 0x80) == 0; mask >>= 8)
        i++;
    return i;
#endif
}

static inline bool ev_is_digit(uint8_t byte) {
    return (uint8_t)(byte - '0') < 10;
}

static inline const uint8_t *ev_scan_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && *at <= 0x20 && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* ---- strings ---- */

/* Bit 7 of each byte that is a control, a quote, a backslash or not ASCII. A borrow can mark the byte above a marked
 * one too: the lowest mark is always right, and no mark is ever missing. */
static inline uint64_t ev_special(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return (word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & high;
}

/* The first byte that needs a look of its own: a control, a quote, a backslash, not ASCII; or the end. */
static inline const uint8_t *ev_scan_plain(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        const uint64_t marks = ev_special(ev_load64(at));
        if (marks != 0) return at + ev_lowest(marks);
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* The rest of a string from a byte that ev_scan_plain stopped at. */
ev_json_status ev_scan_odd(const uint8_t **at, const uint8_t *end, unsigned *flags);

/* *at: after the opening quote; OK: on the closing one. flags: EV_TAPE_WIDE, EV_TAPE_ESCAPED. */
static inline ev_json_status ev_scan_string(const uint8_t **at, const uint8_t *end, unsigned *flags) {
    *flags = 0;
    *at = ev_scan_plain(*at, end);
    if (*at < end && **at == '"') return EV_JSON_OK;
    return ev_scan_odd(at, end, flags);
}

/* ---- numbers ---- */

/* digits * 10^power; both only hold if `simple`: not more than 19 digits. */
typedef struct {
    uint64_t digits;
    int64_t power;
    bool negative, real, simple;
} ev_number;

/* The rest of a number from its '.' or exponent on, or of an integer of 19 digits or more. first: its first digit. */
ev_json_status ev_scan_long_number(const uint8_t **at, const uint8_t *end, const uint8_t *first, ev_number *number);

/* OK: *at is one past the number. Refused for its size: *at is its first byte. */
static inline ev_json_status ev_scan_number(const uint8_t **at, const uint8_t *end, ev_number *number) {
    const uint8_t *start = *at, *p = start;
    number->negative = p < end && *p == '-';
    p += number->negative;
    const uint8_t *first = p;
    uint64_t digits = 0;
    if (p < end && *p == '0') {
        p++;
    } else {
        for (; p < end && ev_is_digit(*p); p++)
            digits = digits * 10 + (uint64_t)(*p - '0');
    }
    number->digits = digits;
    number->power = 0;
    number->real = false;
    number->simple = true;
    *at = p;
    if (p == first) return EV_JSON_SYNTAX;
    if (p - first < 19 && (p == end || (*p != '.' && (*p | 0x20) != 'e'))) return EV_JSON_OK;
    if (p < end && *p == '.') { /* a short one without exponent, as most are */
        const uint8_t *point = p++;
        for (; p < end && ev_is_digit(*p); p++)
            digits = digits * 10 + (uint64_t)(*p - '0');
        if (p - point > 1 && p - first <= 19 && (p == end || (*p | 0x20) != 'e')) {
            number->digits = digits;
            number->power = -(int64_t)(p - point - 1);
            number->real = true;
            *at = p;
            return EV_JSON_OK;
        }
    }
    const ev_json_status status = ev_scan_long_number(at, end, first, number);
    if (status == EV_JSON_INT64 || status == EV_JSON_INFINITE) *at = start;
    return status;
}

/* The nearest double, where one exactly rounded operation gives it (Clinger): see ev_json_real. */
bool ev_number_double(const ev_number *number, double *value);

/* ---- words ---- */

static inline ev_json_status ev_scan_word(const uint8_t **at, const uint8_t *end, const char *word, size_t len) {
    if ((size_t)(end - *at) >= len && memcmp(*at, word, len) == 0) {
        *at += len;
        return EV_JSON_OK;
    }
    for (; *at < end && **at == (uint8_t)*word; word++)
        ++*at;
    return EV_JSON_SYNTAX;
}

#endif
