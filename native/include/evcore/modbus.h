/* Modbus frames: requests built, replies recognised, registers decoded. No I/O, no clock, no allocation.
 *
 * A reply is only ever judged against the request that it should answer: unit, function, byte count or echoed fields,
 * transaction, and on a serial line the CRC.
 * Sources: MODBUS Application Protocol V1.1b3 (clause numbers below), MODBUS over Serial Line V1.02,
 * MODBUS Messaging on TCP/IP V1.0b. Thread-safe: no state but the caller's. */
#ifndef EVCORE_MODBUS_H
#define EVCORE_MODBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EV_MODBUS_PDU_MAX 253u /* 4.1 */
#define EV_MODBUS_RTU_MAX 256u
#define EV_MODBUS_TCP_MAX 260u
#define EV_MODBUS_MBAP 7u

typedef enum {
    EV_MODBUS_OK = 0,
    EV_MODBUS_MORE = 1,    /* not whole yet */
    EV_MODBUS_REFUSED = 2, /* an exception reply; `got` holds its code (7) */
    EV_MODBUS_LENGTH = 3,  /* from here on: not the reply to this request, `expected` and `got` say why */
    EV_MODBUS_CRC = 4,
    EV_MODBUS_UNIT = 5,
    EV_MODBUS_FUNCTION = 6,
    EV_MODBUS_COUNT = 7, /* byte count */
    EV_MODBUS_ECHO = 8,  /* a write whose reply names other registers or values; reply.at is where */
    EV_MODBUS_TRANSACTION = 9,
    EV_MODBUS_PROTOCOL = 10,
    EV_MODBUS_CONTENT = 11 /* a field that the function does not allow, or not in reply to this request (20, 43/14) */
} ev_modbus_status;

/* How a good reply goes on after the function code. */
typedef enum {
    EV_MODBUS_COUNTED,    /* a byte count, known from the request, and so many bytes: 1-4, 23 */
    EV_MODBUS_FIXED,      /* `echo_len` bytes as in the request, then `least` more: 5-8, 11, 15, 16, 21, 22 */
    EV_MODBUS_OPEN,       /* a byte count of least..most, and so many bytes: 12, 17 */
    EV_MODBUS_COUNTED_AT, /* `at` bytes, a byte count, and so many bytes: custom functions */
    EV_MODBUS_FILES,      /* a byte count, and one group of known length for each that was asked for: 20 */
    EV_MODBUS_FIFO,       /* a byte count in two bytes, the number of registers (at most 31), the registers: 24 */
    EV_MODBUS_OBJECTS     /* device identification, objects with their lengths: 43/14 */
} ev_modbus_shape;

/* What a good reply to one request looks like. */
typedef struct {
    const uint8_t *pdu; /* the request, not copied: it must live, unchanged, as long as this is used */
    uint8_t unit, function;
    uint8_t shape; /* ev_modbus_shape; 0 in all of this is harmless */
    uint8_t echo_len, at;
    uint8_t least, most; /* COUNTED, FILES: least is the byte count */
} ev_modbus_want;

/* Where the reply is in the bytes looked at. */
typedef struct {
    size_t at;  /* OK: first data byte, after the byte count where there is one, but of COUNTED_AT the first after the
                   function code; ECHO: first byte to compare. MORE: bytes that may be dropped */
    size_t len; /* OK: number of these bytes */
    size_t end; /* OK, REFUSED: first byte after the frame */
    uint32_t expected, got;
} ev_modbus_reply;

/* The expectation that the request pdu[0..len) of `unit` raises. false: not a request of the functions 1-8, 11, 12,
 * 15-17, 20-24, 43/14 within the limits of clause 6, or one that is never answered (8 with sub-function 4); *want is
 * then untouched. pdu may be NULL if len is 0. */
bool ev_modbus_want_of(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_want *want);

/* The same for a function code that V1.1b3 does not define. n: bytes of the reply after the function code (FIXED with
 * echo false), bytes of the request that are the whole rest of the reply (FIXED with echo true), or bytes before the
 * byte count (COUNTED_AT). false: a code of clause 6 or above 127, or a length that no PDU has. */
bool ev_modbus_want_custom(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_shape shape, bool echo, size_t n,
                           ev_modbus_want *want);

/* Is this a function code that clause 6 defines? */
bool ev_modbus_is_standard(uint8_t function);

/* The longest RTU frame that can be a good reply, and how many bytes of a good one are around those of reply->at. */
size_t ev_modbus_reply_max(const ev_modbus_want *want);
size_t ev_modbus_reply_around(const ev_modbus_want *want);

/* Request PDUs of the functions 1-4 (count) and 5, 6 (value; 5: 0x0000 or 0xFF00). Returns the length, 5. */
size_t ev_modbus_pdu_short(uint8_t out[5], uint8_t function, uint16_t address, uint16_t count_or_value);

/* Request PDU of 16 (write count registers, 1..123) and of 15 (count coils, 1..1968; values: 0 or not). Returns the
 * length, 0 for a count out of range. */
size_t ev_modbus_pdu_registers(uint8_t out[EV_MODBUS_PDU_MAX], uint16_t address, const uint16_t *values, size_t count);
size_t ev_modbus_pdu_coils(uint8_t out[EV_MODBUS_PDU_MAX], uint16_t address, const uint16_t *values, size_t count);

/* The frame around pdu[0..len), len 1..253. Returns its length, 0 for a length out of range. */
size_t ev_modbus_rtu_frame(uint8_t out[EV_MODBUS_RTU_MAX], uint8_t unit, const uint8_t *pdu, size_t len);
size_t ev_modbus_tcp_frame(uint8_t out[EV_MODBUS_TCP_MAX], uint16_t transaction, uint8_t unit, const uint8_t *pdu,
                           size_t len);

/* Is adu[0..len), a whole frame and nothing else, the reply? OK, REFUSED or the first reason why not: for RTU length,
 * CRC, unit, function, then the content; for TCP transaction, protocol, length, unit, function, then the content. */
ev_modbus_status ev_modbus_rtu_check(const uint8_t *adu, size_t len, const ev_modbus_want *want,
                                     ev_modbus_reply *reply);
ev_modbus_status ev_modbus_tcp_check(const uint8_t *adu, size_t len, const ev_modbus_want *want, uint16_t transaction,
                                     ev_modbus_reply *reply);

/* The first reply in what came from a serial line, past all that is not it: OK, REFUSED or MORE.
 * A candidate is a header of a reply to this request, as far as it is there; the first one that has a right CRC wins.
 * While the first candidate is not whole, the answer is MORE with reply->at bytes that no reply can begin in, even if
 * a shorter candidate behind it is whole with a right CRC: it may lie in the data of the reply that is still coming (a
 * register may well hold the bytes of a refusal), and no undamaged reply is ever misread. `last` (no more bytes will
 * come) goes past candidates that are not whole; who wants a reply behind a false header before the deadline asks with
 * `last` once the line is silent, and goes on as before if that finds nothing. A good reply of fixed length is never
 * held up: what a false header before it seems to begin has the same length, and is whole before it. A frame has at
 * most 256 bytes, so the work is linear in len. data may be NULL if len is 0. */
ev_modbus_status ev_modbus_rtu_find(const uint8_t *data, size_t len, const ev_modbus_want *want, bool last,
                                    ev_modbus_reply *reply);

/* The length of the first TCP frame of data[0..len) by its MBAP header: the only boundary that there is.
 * MORE: *size is 0 or the length to wait for. PROTOCOL or LENGTH: no frame can begin here, the connection is lost. */
ev_modbus_status ev_modbus_tcp_size(const uint8_t *data, size_t len, size_t *size);

/* --- Registers to values --- */

typedef enum {
    EV_MODBUS_INT16,
    EV_MODBUS_UINT16,
    EV_MODBUS_INT32,
    EV_MODBUS_UINT32,
    EV_MODBUS_INT64,
    EV_MODBUS_UINT64,
    EV_MODBUS_FLOAT32,
    EV_MODBUS_FLOAT64,
    EV_MODBUS_STRING, /* two characters a register */
    EV_MODBUS_BITS,   /* `width` bits of one register from `bit` (0: the lowest) on */
    EV_MODBUS_FLOAT16,
    EV_MODBUS_BCD16, /* decimal digits of four bits; one that is above 9: missing */
    EV_MODBUS_BCD32,
    EV_MODBUS_BCD64,
    EV_MODBUS_STRING_LOW /* one character a register, in its low byte */
} ev_modbus_type;

#define EV_MODBUS_WORDS_LITTLE 1u /* low word first: CDAB */
#define EV_MODBUS_BYTES_LITTLE 2u /* low byte first in each register: BADC; both: DCBA */
#define EV_MODBUS_MISSING 4u      /* `missing` is this point's value for "none" */
#define EV_MODBUS_SCALED 8u       /* value = raw * multiply / divide + add, a double */
#define EV_MODBUS_SCALE_AT                                                                                             \
    16u /* ... times 10 to the power of the int16 in register `scale_at`; beyond -10..10: missing */

typedef struct {
    uint16_t offset; /* first register, counted from the first of the block */
    uint16_t words;  /* registers: 1, 2 or 4 by type, STRING 1..125 */
    uint8_t type, flags;
    uint8_t bit, width;
    uint16_t scale_at; /* of SCALE_AT, counted as `offset`; its bytes are in the point's order */
    uint64_t missing;  /* raw bits, as an unsigned integer of the type's size */
    double multiply, divide, add;
} ev_modbus_point;

typedef enum {
    EV_MODBUS_NONE, /* missing; of floats also NaN and infinity */
    EV_MODBUS_SIGNED,
    EV_MODBUS_UNSIGNED,
    EV_MODBUS_REAL,
    EV_MODBUS_TEXT, /* to be read with ev_modbus_text */
    EV_MODBUS_FLAG  /* one bit: 0 or 1 in `u` */
} ev_modbus_kind;

typedef struct {
    union {
        int64_t i;
        uint64_t u;
        double f;
    } as;
    uint8_t kind;
} ev_modbus_value;

/* How many register bytes `points` reach over, with the registers that hold a scale. */
size_t ev_modbus_reach(const ev_modbus_point *points, size_t count);

/* Decode `count` points from registers[0..len), big-endian as on the wire, into out[0..count). false, and nothing
 * written, if a point reaches past len. */
bool ev_modbus_decode(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                      ev_modbus_value *out);

/* The same, all as doubles: out is `count` doubles of any alignment, valid[0..count) 1 or 0. What is missing or a text
 * is NaN and 0; an integer beyond 2^53 is rounded to the nearest double. */
bool ev_modbus_decode_doubles(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                              void *out, uint8_t *valid);

/* The characters of a STRING or STRING_LOW point into out[0..2 * words), in reading order. Returns their number without
 * the zeros and blanks at the end. `registers` must reach over the point. */
size_t ev_modbus_text(const uint8_t *registers, const ev_modbus_point *point, char *out);

#endif
