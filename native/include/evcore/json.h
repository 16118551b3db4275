/* JSON, checked and stepped over without building anything: RFC 8259, with the two answers that it leaves open taken
 * from orjson (a number must fit a double, half a surrogate pair is refused) and three rules of our own, each with its
 * own status (nesting, number of values, integers beyond int64). Lengths are explicit and nothing is read past them;
 * nothing is allocated. A name that appears twice in one object is not looked for: as in every parser around us, the
 * last one counts. Thread-safe: reads constant tables only. */
#ifndef EVCORE_JSON_H
#define EVCORE_JSON_H

#include <stdbool.h>
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
    EV_JSON_NODES,    /* our rule: more values than allowed */
} ev_json_status;

/* What a tape entry stands for. A member whose name the schema knows carries it in `key`; any other is an entry
 * EV_TAPE_KEY followed by that of its value. */
typedef enum {
    EV_TAPE_NULL,
    EV_TAPE_FALSE,
    EV_TAPE_TRUE,
    EV_TAPE_INTEGER, /* at, size: its text, at most 20 bytes, within int64 */
    EV_TAPE_REAL,    /* at, size: its text, with '.' or exponent */
    EV_TAPE_STRING,  /* at, size: the bytes between its quotes */
    EV_TAPE_WORD,    /* a string that the schema knows; size: its name, at: its first byte */
    EV_TAPE_KEY,     /* as STRING, the name of the next entry */
    EV_TAPE_OBJECT,  /* size: members, their entries follow */
    EV_TAPE_ARRAY,   /* size: items, their entries follow */
} ev_tape_kind;

enum {
    EV_TAPE_WIDE = 1,    /* a STRING or KEY holds bytes above 0x7F */
    EV_TAPE_ESCAPED = 2, /* a STRING or KEY holds backslashes */
};

/* One value, in the order of the text, containers before what they hold. */
typedef struct {
    uint8_t kind, flags;
    uint16_t spare;
    uint32_t key;  /* name of the member (schema.h), EV_TAPE_NO_KEY */
    uint32_t at;   /* offset in the text */
    uint32_t size; /* see the kinds */
} ev_tape;

#define EV_TAPE_NO_KEY UINT32_MAX

/* Entries that any text of `len` bytes fits, whole or not, `depth` containers and `nodes` values allowed: each value
 * and each name takes two bytes, but for the brackets that are still open. */
static inline size_t ev_tape_room(size_t len, unsigned depth, size_t nodes) {
    const size_t by_size = len / 2 + depth / 2 + 2, by_nodes = nodes < by_size ? 2 * nodes + 2 : by_size;
    return by_size < by_nodes ? by_size : by_nodes;
}

/* The first byte at or after `at` that is none of JSON's four spaces (20 09 0A 0D), or len. */
size_t ev_json_space(const uint8_t *data, size_t len, size_t at);

/* Checks the one value that begins at data[*at] (no space before it). depth: containers that may be open at once inside
 * it, itself included; more than EV_JSON_DEPTH_MAX counts as EV_JSON_DEPTH_MAX. *nodes: values that it may hold, itself
 * included; what it held is taken off. tape: NULL, or where its entries go (room: ev_tape_room; len < 2^32); *tape is
 * moved behind them, the first has the key given. data may be NULL if len is 0. OK: *at is one past the value.
 * Otherwise *at (<= len) is where it goes wrong: the byte, or the number or escape that holds it. */
ev_json_status ev_json_walk(const uint8_t *data, size_t len, unsigned depth, size_t *nodes, ev_tape **tape,
                            uint32_t key, size_t *at);

/* The same without tape and limit of values. */
ev_json_status ev_json_skip(const uint8_t *data, size_t len, unsigned depth, size_t *at);

/* Decodes a string that was accepted. token: with both quotes, len >= 2. out: NULL to count only, else room for
 * len - 2 bytes; receives UTF-8 without a terminator, *out_len bytes of it. Returns the number of code points. */
size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len);

/* An integer that was accepted (EV_TAPE_INTEGER). */
int64_t ev_json_integer(const uint8_t *text, size_t len);

/* A number that was accepted, as the nearest double, where that takes one exactly rounded operation: true, *value.
 * False: more than 15 digits or so, an exponent beyond 10^22; ask a parser with big integers. */
bool ev_json_real(const uint8_t *text, size_t len, double *value);

/* Is it a multiple of 10^-places by its digits? Of a number that was accepted; any length, any exponent. */
bool ev_json_multiple(const uint8_t *text, size_t len, unsigned places);

/* Where the value at data[target] sits in the accepted value at data[from]: the steps to it, outermost first, at most
 * `room` written (EV_JSON_DEPTH_MAX suffice), their number returned. Linear. */
typedef struct {
    size_t at, len; /* of a member: its name with quotes. len 0: an item, `at` is its index */
} ev_json_step;
size_t ev_json_path(const uint8_t *data, size_t len, size_t from, size_t target, ev_json_step *steps, size_t room);

#endif
