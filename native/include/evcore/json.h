/* JSON, checked and stepped over without building anything: RFC 8259, with the two answers that it leaves open taken
 * from orjson (a number must fit a double, half a surrogate pair is refused) and two rules of our own, each with its
 * own status (nesting, integers beyond int64). Lengths are explicit and nothing is read past them; nothing is
 * allocated. A name that appears twice in one object is not looked for: as in every parser around us, the last one
 * counts. Thread-safe: reads constant tables only. */
#ifndef EVCORE_JSON_H
#define EVCORE_JSON_H

#include <stddef.h>
#include <stdint.h>

enum { EV_JSON_DEPTH_MAX = 1024 }; /* orjson 3.13: 1024 open containers pass, 1025 do not */

typedef enum {
    EV_JSON_OK,
    EV_JSON_SYNTAX,   /* not JSON, or it ends too early */
    EV_JSON_UTF8,     /* a string is not UTF-8, or an escape names half a surrogate pair */
    EV_JSON_INFINITE, /* a number that rounds to infinity as a double */
    EV_JSON_INT64,    /* our rule: an integer (no '.', no exponent) outside -2^63 .. 2^63-1 */
    EV_JSON_DEPTH,    /* our rule: more open containers than allowed */
} ev_json_status;

/* The first byte at or after `at` that is none of JSON's four spaces (20 09 0A 0D), or len. */
size_t ev_json_space(const uint8_t *data, size_t len, size_t at);

/* Checks the one value that begins at data[*at] (no space before it). depth: containers that may be open at once inside
 * it, itself included; more than EV_JSON_DEPTH_MAX counts as EV_JSON_DEPTH_MAX. data may be NULL if len is 0. OK: *at
 * is one past the value. Otherwise *at (<= len) is where it goes wrong: the byte, or the number or escape that holds
 * it. */
ev_json_status ev_json_skip(const uint8_t *data, size_t len, unsigned depth, size_t *at);

/* Decodes a string that ev_json_skip accepted. token: with both quotes, len >= 2. out: NULL to count only, else room
 * for len - 2 bytes; receives UTF-8 without a terminator, *out_len bytes of it. Returns the number of code points. */
size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len);

#endif
