/* See evcore/modbus.h, the contract. */
#include "evcore/modbus.h"
#include "evcore/crc16.h"
#include <math.h>
#include <string.h>

static unsigned get16(const uint8_t *p) {
    return ((unsigned)p[0] << 8) | p[1];
}

static void put16(uint8_t *p, unsigned value) {
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static ev_modbus_status differ(ev_modbus_reply *reply, ev_modbus_status why, size_t expected, size_t got) {
    reply->expected = (uint32_t)expected;
    reply->got = (uint32_t)got;
    return why;
}

/* --- Requests --- */

bool ev_modbus_is_standard(uint8_t function) {
    return (function >= 1 && function <= 8) || function == 11 || function == 12 || (function >= 15 && function <= 17) ||
           (function >= 20 && function <= 24) || function == 43;
}

/* The byte count that belongs to a read of `count` items, 0 if not allowed. */
static unsigned data_bytes(uint8_t function, unsigned count) {
    if (function <= 2) return count <= 2000 ? (count + 7) / 8 : 0; /* 6.1, 6.2 */
    return count <= 125 ? 2 * count : 0;                           /* 6.3, 6.4, 6.17 */
}

/* Is a 15, 16 or the write half of a 23 at pdu as long as its count says? pdu begins at the address. */
static bool write_fits(const uint8_t *pdu, size_t len, unsigned max, bool coils) {
    if (len < 6) return false;
    const unsigned count = get16(pdu + 2), bytes = coils ? (count + 7) / 8 : 2 * count;
    return count >= 1 && count <= max && pdu[4] == bytes && len == 5 + bytes && get16(pdu) + count <= 65536;
}

/* Diagnostics, 6.8: pdu[0..len) with its sub-function. */
static bool diagnostics(const uint8_t *pdu, size_t len, ev_modbus_want *w) {
    if (len < 5 || len % 2 == 0 || pdu[1] != 0) return false;
    const unsigned code = pdu[2], value = get16(pdu + 3);
    w->echo_len = (uint8_t)(len - 1);
    if (code == 0) return true;
    if (len != 5) return false;
    if (code == 1) return value == 0x0000 || value == 0xFF00;
    if (code == 3) return pdu[4] == 0;
    if (code == 10 || code == 20) return value == 0;
    if (code != 2 && (code < 11 || code > 18)) return false;
    w->echo_len = 2;
    w->least = 2;
    return value == 0;
}

/* One file record of 20 or 21 at group[0..7): its registers, 0 if it breaks a limit (6.14, 6.15). */
static unsigned file_record(const uint8_t *group) {
    const unsigned count = get16(group + 5);
    return group[0] == 6 && get16(group + 1) != 0 && get16(group + 3) + count <= 10000 ? count : 0;
}

static bool files_read(const uint8_t *pdu, size_t len, ev_modbus_want *w) {
    if (len < 9 || pdu[1] > 0xF5 || pdu[1] % 7 != 0 || len != 2u + pdu[1]) return false;
    size_t bytes = 0;
    for (size_t i = 2; i < len; i += 7) {
        const unsigned count = file_record(pdu + i);
        if (count == 0) return false;
        bytes += 2 + 2 * (size_t)count;
    }
    w->shape = EV_MODBUS_FILES;
    w->least = (uint8_t)bytes;
    return bytes <= 0xF5;
}

static bool files_write(const uint8_t *pdu, size_t len, ev_modbus_want *w) {
    if (len < 11 || len != 2u + pdu[1]) return false;
    size_t i = 2;
    while (i + 9 <= len) {
        const unsigned count = file_record(pdu + i);
        if (count == 0) return false;
        i += 7 + 2 * (size_t)count;
    }
    w->echo_len = (uint8_t)(len - 1);
    return i == len;
}

static bool expect(const uint8_t *pdu, size_t len, ev_modbus_want *w) {
    switch (pdu[0]) {
    case 1:
    case 2:
    case 3:
    case 4:
        if (len != 5 || get16(pdu + 1) + get16(pdu + 3) > 65536) return false;
        w->shape = EV_MODBUS_COUNTED;
        w->least = (uint8_t)data_bytes(pdu[0], get16(pdu + 3));
        return w->least > 0;
    case 5: /* 6.5: only these two values */
    case 6:
        w->echo_len = 4;
        return len == 5 && (pdu[0] == 6 || get16(pdu + 3) == 0x0000 || get16(pdu + 3) == 0xFF00);
    case 7:
        w->least = 1;
        return len == 1;
    case 8:
        return diagnostics(pdu, len, w);
    case 11:
        w->least = 4;
        return len == 1;
    case 12: /* 6.10: 6 bytes and up to 64 events */
    case 17: /* 6.13: device specific */
        w->shape = EV_MODBUS_OPEN;
        w->least = pdu[0] == 12 ? 6 : 1;
        w->most = pdu[0] == 12 ? 70 : 251;
        return len == 1;
    case 15: /* 6.11 */
    case 16: /* 6.12 */
        w->echo_len = 4;
        return write_fits(pdu + 1, len - 1, pdu[0] == 15 ? 1968 : 123, pdu[0] == 15);
    case 20:
        return files_read(pdu, len, w);
    case 21:
        return files_write(pdu, len, w);
    case 22:
        w->echo_len = 6;
        return len == 7;
    case 23: /* 6.17 */
        if (len < 5 || get16(pdu + 1) + get16(pdu + 3) > 65536) return false;
        w->shape = EV_MODBUS_COUNTED;
        w->least = (uint8_t)data_bytes(23, get16(pdu + 3));
        return w->least > 0 && write_fits(pdu + 5, len - 5, 121, false);
    case 24:
        w->shape = EV_MODBUS_FIFO;
        return len == 3;
    case 43: /* 6.21 */
        w->shape = EV_MODBUS_OBJECTS;
        return len == 4 && pdu[1] == 14 && pdu[2] >= 1 && pdu[2] <= 4;
    default:
        return false;
    }
}

bool ev_modbus_want_of(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_want *want) {
    if (len < 1 || len > EV_MODBUS_PDU_MAX) return false;
    ev_modbus_want w = {.pdu = pdu, .unit = unit, .function = pdu[0], .shape = EV_MODBUS_FIXED};
    if (!expect(pdu, len, &w)) return false;
    *want = w;
    return true;
}

bool ev_modbus_want_custom(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_shape shape, bool echo, size_t n,
                           ev_modbus_want *want) {
    if (len < 1 || len > EV_MODBUS_PDU_MAX || pdu[0] == 0 || pdu[0] > 127 || ev_modbus_is_standard(pdu[0]))
        return false;
    ev_modbus_want w = {.pdu = pdu, .unit = unit, .function = pdu[0], .shape = (uint8_t)shape};
    if (shape == EV_MODBUS_COUNTED_AT && !echo && n <= EV_MODBUS_PDU_MAX - 2)
        w.at = (uint8_t)n;
    else if (shape == EV_MODBUS_FIXED && n < (echo ? len : EV_MODBUS_PDU_MAX))
        *(echo ? &w.echo_len : &w.least) = (uint8_t)n;
    else
        return false;
    if (shape == EV_MODBUS_FIXED && n == 0) return false; /* a frame of four bytes is shorter than a refusal */
    *want = w;
    return true;
}

size_t ev_modbus_pdu_short(uint8_t out[5], uint8_t function, uint16_t address, uint16_t count_or_value) {
    out[0] = function;
    put16(out + 1, address);
    put16(out + 3, count_or_value);
    return 5;
}

size_t ev_modbus_pdu_registers(uint8_t out[EV_MODBUS_PDU_MAX], uint16_t address, const uint16_t *values, size_t count) {
    if (count < 1 || count > 123) return 0;
    ev_modbus_pdu_short(out, 16, address, (uint16_t)count);
    out[5] = (uint8_t)(2 * count);
    for (size_t i = 0; i < count; i++)
        put16(out + 6 + 2 * i, values[i]);
    return 6 + 2 * count;
}

size_t ev_modbus_pdu_coils(uint8_t out[EV_MODBUS_PDU_MAX], uint16_t address, const uint16_t *values, size_t count) {
    if (count < 1 || count > 1968) return 0;
    const size_t bytes = (count + 7) / 8;
    ev_modbus_pdu_short(out, 15, address, (uint16_t)count);
    out[5] = (uint8_t)bytes;
    memset(out + 6, 0, bytes);
    for (size_t i = 0; i < count; i++)
        if (values[i]) out[6 + i / 8] = (uint8_t)(out[6 + i / 8] | 1u << (i % 8));
    return 6 + bytes;
}

size_t ev_modbus_rtu_frame(uint8_t out[EV_MODBUS_RTU_MAX], uint8_t unit, const uint8_t *pdu, size_t len) {
    if (len < 1 || len > EV_MODBUS_PDU_MAX) return 0;
    out[0] = unit;
    memcpy(out + 1, pdu, len);
    const uint16_t crc = ev_crc16(out, 1 + len);
    out[1 + len] = (uint8_t)crc; /* Serial Line 2.5.1.2: low byte first */
    out[2 + len] = (uint8_t)(crc >> 8);
    return len + 3;
}

size_t ev_modbus_tcp_frame(uint8_t out[EV_MODBUS_TCP_MAX], uint16_t transaction, uint8_t unit, const uint8_t *pdu,
                           size_t len) {
    if (len < 1 || len > EV_MODBUS_PDU_MAX) return 0;
    put16(out, transaction);
    put16(out + 2, 0);
    put16(out + 4, (unsigned)len + 1);
    out[6] = unit;
    memcpy(out + EV_MODBUS_MBAP, pdu, len);
    return EV_MODBUS_MBAP + len;
}

/* --- Replies --- */

static ev_modbus_status measure_files(const uint8_t *pdu, size_t len, const ev_modbus_want *want,
                                      ev_modbus_reply *reply) {
    const uint8_t *group = want->pdu + 2;
    for (size_t i = 2; i < 2u + want->least && i < len; group += 7) { /* 6.14 */
        const size_t bytes = 1 + 2 * (size_t)get16(group + 5);
        if (pdu[i] != bytes) return differ(reply, EV_MODBUS_COUNT, bytes, pdu[i]);
        if (i + 1 < len && pdu[i + 1] != 6) return differ(reply, EV_MODBUS_CONTENT, 6, pdu[i + 1]);
        i += 1 + bytes;
    }
    return EV_MODBUS_OK;
}

static ev_modbus_status measure_fifo(const uint8_t *pdu, size_t len, size_t *size, ev_modbus_reply *reply) {
    *size = 5; /* 6.18 */
    if (len < 3) return len == 2 && pdu[1] != 0 ? differ(reply, EV_MODBUS_COUNT, 0, pdu[1]) : EV_MODBUS_OK;
    const unsigned bytes = get16(pdu + 1);
    if (bytes < 2 || bytes > 64 || bytes % 2) return differ(reply, EV_MODBUS_COUNT, 64, bytes);
    *size = 3 + bytes;
    if (len == 4 && pdu[3] != 0) return differ(reply, EV_MODBUS_COUNT, 0, pdu[3]);
    if (len >= 5 && 2 + 2 * get16(pdu + 3) != bytes)
        return differ(reply, EV_MODBUS_COUNT, (bytes - 2) / 2, get16(pdu + 3));
    return EV_MODBUS_OK;
}

/* 6.21. Objects come in ascending order, from the one asked for on, or from 0 if there is no such object; their
 * numbers are those of the level asked for or of a lower one. A reply that is not the last says with which, higher,
 * number to go on. */
static ev_modbus_status measure_objects(const uint8_t *pdu, size_t len, const ev_modbus_want *want, size_t *size,
                                        ev_modbus_reply *reply) {
    const unsigned level = want->pdu[2], first = want->pdu[3];
    const unsigned highest = level == 1 ? 2 : level == 2 ? 0x7F : 0xFF;
    *size = 9;
    if (len >= 2 && pdu[1] != 14) return differ(reply, EV_MODBUS_CONTENT, 14, pdu[1]);
    if (len >= 3 && pdu[2] != level) return differ(reply, EV_MODBUS_CONTENT, level, pdu[2]);
    if (len >= 4 && ((pdu[3] & 0x7F) < 1 || (pdu[3] & 0x7F) > 3))
        return differ(reply, EV_MODBUS_CONTENT, level == 4 ? 0x81 : level, pdu[3]);
    if (len >= 5 && pdu[4] != 0x00 && (pdu[4] != 0xFF || level == 4))
        return differ(reply, EV_MODBUS_CONTENT, 0, pdu[4]);
    if (len < 7) return EV_MODBUS_OK;
    const unsigned objects = pdu[6];
    if (objects == 0 || (level == 4 && objects != 1)) return differ(reply, EV_MODBUS_COUNT, 1, objects);
    size_t at = 7;
    unsigned least = first;
    for (unsigned i = 0; i < objects; i++) {
        if (at >= len) {
            *size = at + 2 * (size_t)(objects - i);
            return *size <= EV_MODBUS_PDU_MAX ? EV_MODBUS_OK
                                              : differ(reply, EV_MODBUS_LENGTH, EV_MODBUS_PDU_MAX, *size);
        }
        const unsigned id = pdu[at];
        const bool restart = i == 0 && id == 0 && level != 4;
        if ((id < least && !restart) || id > highest || (level == 4 && id != first))
            return differ(reply, EV_MODBUS_CONTENT, least, id);
        least = id + 1;
        *size = at + 2 * (size_t)(objects - i);
        if (at + 1 >= len) return EV_MODBUS_OK;
        at += 2u + pdu[at + 1];
    }
    *size = at;
    if (at > EV_MODBUS_PDU_MAX) return differ(reply, EV_MODBUS_LENGTH, EV_MODBUS_PDU_MAX, at);
    return pdu[4] == 0 || pdu[5] >= least ? EV_MODBUS_OK : differ(reply, EV_MODBUS_CONTENT, least, pdu[5]);
}

/* How a reply that begins as pdu[0..len) does goes on, len >= 1: OK, or the first reason why no good or exception reply
 * begins so. *size: its length; where the bytes that say so are not there yet, a length above `len` that it has at
 * least. */
static ev_modbus_status measure(const uint8_t *pdu, size_t len, const ev_modbus_want *want, size_t *size,
                                ev_modbus_reply *reply) {
    *size = 2;
    if (pdu[0] == (want->function | 0x80)) return EV_MODBUS_OK;
    if (pdu[0] != want->function) return differ(reply, EV_MODBUS_FUNCTION, want->function, pdu[0]);
    switch (want->shape) {
    case EV_MODBUS_COUNTED:
    case EV_MODBUS_FILES:
        *size = 2u + want->least;
        if (len >= 2 && pdu[1] != want->least) return differ(reply, EV_MODBUS_COUNT, want->least, pdu[1]);
        return want->shape == EV_MODBUS_FILES ? measure_files(pdu, len, want, reply) : EV_MODBUS_OK;
    case EV_MODBUS_FIXED: {
        *size = 1u + want->echo_len + want->least;
        const size_t there = len - 1 < want->echo_len ? len - 1 : want->echo_len;
        reply->len = there;
        return memcmp(pdu + 1, want->pdu + 1, there) == 0 ? EV_MODBUS_OK : EV_MODBUS_ECHO;
    }
    case EV_MODBUS_OPEN:
    case EV_MODBUS_COUNTED_AT: {
        const unsigned most = want->shape == EV_MODBUS_OPEN ? want->most : EV_MODBUS_PDU_MAX - 2u - want->at;
        *size = 2u + want->at + want->least;
        if (len < 2u + want->at) return EV_MODBUS_OK;
        const unsigned bytes = pdu[1 + want->at];
        *size = 2u + want->at + bytes;
        return bytes >= want->least && bytes <= most ? EV_MODBUS_OK : differ(reply, EV_MODBUS_COUNT, most, bytes);
    }
    case EV_MODBUS_FIFO:
        return measure_fifo(pdu, len, size, reply);
    default:
        return measure_objects(pdu, len, want, size, reply);
    }
}

/* Bytes between the first of the PDU and those that reply->at tells. */
static size_t before_data(const ev_modbus_want *want) {
    switch (want->shape) {
    case EV_MODBUS_COUNTED:
    case EV_MODBUS_OPEN:
    case EV_MODBUS_FILES:
        return 2;
    case EV_MODBUS_FIFO:
        return 3;
    default:
        return 1;
    }
}

/* The PDU is pdu[0..len); reply->at is set relative to `base`, the bytes before it. */
static ev_modbus_status check_pdu(const uint8_t *pdu, size_t len, size_t base, const ev_modbus_want *want,
                                  ev_modbus_reply *reply) {
    size_t size;
    const size_t before = before_data(want);
    reply->at = base + before;
    const ev_modbus_status status = measure(pdu, len, want, &size, reply);
    if (status != EV_MODBUS_OK) return status;
    if (len != size) return differ(reply, EV_MODBUS_LENGTH, size, len);
    if (pdu[0] != want->function) return differ(reply, EV_MODBUS_REFUSED, 0, pdu[1]);
    reply->len = len - before;
    return EV_MODBUS_OK;
}

size_t ev_modbus_reply_max(const ev_modbus_want *want) {
    switch (want->shape) {
    case EV_MODBUS_COUNTED:
    case EV_MODBUS_FILES:
        return 5u + want->least;
    case EV_MODBUS_FIXED:
        return 4u + want->echo_len + want->least;
    case EV_MODBUS_OPEN:
        return 5u + want->most;
    case EV_MODBUS_FIFO:
        return 70;
    default:
        return EV_MODBUS_RTU_MAX;
    }
}

size_t ev_modbus_reply_around(const ev_modbus_want *want) {
    return 3 + before_data(want);
}

ev_modbus_status ev_modbus_rtu_check(const uint8_t *adu, size_t len, const ev_modbus_want *want,
                                     ev_modbus_reply *reply) {
    memset(reply, 0, sizeof *reply);
    reply->end = len;
    if (len < 5 || len > EV_MODBUS_RTU_MAX) return differ(reply, EV_MODBUS_LENGTH, ev_modbus_reply_max(want), len);
    const unsigned sent = adu[len - 2] | (unsigned)adu[len - 1] << 8, crc = ev_crc16(adu, len - 2);
    if (crc != sent) return differ(reply, EV_MODBUS_CRC, crc, sent);
    if (adu[0] != want->unit) return differ(reply, EV_MODBUS_UNIT, want->unit, adu[0]);
    return check_pdu(adu + 1, len - 3, 1, want, reply);
}

ev_modbus_status ev_modbus_tcp_check(const uint8_t *adu, size_t len, const ev_modbus_want *want, uint16_t transaction,
                                     ev_modbus_reply *reply) {
    memset(reply, 0, sizeof *reply);
    reply->end = len;
    if (len < EV_MODBUS_MBAP + 2 || len > EV_MODBUS_TCP_MAX)
        return differ(reply, EV_MODBUS_LENGTH, ev_modbus_reply_max(want) + 4, len);
    if (get16(adu) != transaction) return differ(reply, EV_MODBUS_TRANSACTION, transaction, get16(adu));
    if (get16(adu + 2) != 0) return differ(reply, EV_MODBUS_PROTOCOL, 0, get16(adu + 2));
    if (get16(adu + 4) != len - 6) return differ(reply, EV_MODBUS_LENGTH, len - 6, get16(adu + 4));
    if (adu[6] != want->unit) return differ(reply, EV_MODBUS_UNIT, want->unit, adu[6]);
    return check_pdu(adu + EV_MODBUS_MBAP, len - EV_MODBUS_MBAP, EV_MODBUS_MBAP, want, reply);
}

/* Could a reply begin at data[0]? Its whole length, or one above len that it has at least, if all that is there fits;
 * else 0. len >= 1. */
static size_t candidate(const uint8_t *data, size_t len, const ev_modbus_want *want, ev_modbus_reply *reply) {
    size_t size;
    if (len == 1) return data[0] == want->unit ? 5 : 0;
    if (data[0] != want->unit || measure(data + 1, len - 1, want, &size, reply) != EV_MODBUS_OK) return 0;
    return size + 3;
}

ev_modbus_status ev_modbus_rtu_find(const uint8_t *data, size_t len, const ev_modbus_want *want, bool last,
                                    ev_modbus_reply *reply) {
    for (size_t i = 0; i < len; i++) {
        const uint8_t *next = memchr(data + i, want->unit, len - i);
        if (next == NULL) break;
        i = (size_t)(next - data);
        const size_t size = candidate(data + i, len - i, want, reply);
        if (size == 0) continue;
        if (size > len - i) {
            if (last) continue;
            memset(reply, 0, sizeof *reply);
            reply->at = i;
            return EV_MODBUS_MORE;
        }
        const ev_modbus_status status = ev_modbus_rtu_check(data + i, size, want, reply);
        if (status > EV_MODBUS_REFUSED) continue;
        reply->at += i;
        reply->end += i;
        return status;
    }
    memset(reply, 0, sizeof *reply);
    reply->at = len;
    return EV_MODBUS_MORE;
}

ev_modbus_status ev_modbus_tcp_size(const uint8_t *data, size_t len, size_t *size) {
    *size = 0;
    if (len >= 4 && get16(data + 2) != 0) return EV_MODBUS_PROTOCOL;
    if (len < 6) return EV_MODBUS_MORE;
    const unsigned rest = get16(data + 4);
    if (rest < 2 || rest > 1 + EV_MODBUS_PDU_MAX) return EV_MODBUS_LENGTH;
    *size = 6 + rest;
    return len < *size ? EV_MODBUS_MORE : EV_MODBUS_OK;
}

/* --- Registers to values --- */

static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The raw bits of a point of n registers. */
static inline uint64_t load(const uint8_t *p, unsigned n, unsigned flags) {
    if (!(flags & (EV_MODBUS_WORDS_LITTLE | EV_MODBUS_BYTES_LITTLE))) { /* most devices: no loop */
        if (n == 2) return get32(p);
        if (n == 1) return get16(p);
        if (n == 4) return (uint64_t)get32(p) << 32 | get32(p + 4);
    }
    const unsigned high = flags & EV_MODBUS_BYTES_LITTLE ? 1 : 0, low = 1 - high;
    uint64_t raw = 0;
    for (unsigned i = 0; i < n; i++, p += 2) {
        const uint64_t word = (uint64_t)p[high] << 8 | p[low];
        raw = flags & EV_MODBUS_WORDS_LITTLE ? raw | word << (16 * i) : raw << 16 | word;
    }
    return raw;
}

static double half(unsigned bits) {
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = bits & 0x3FF;
    if (exponent == 31) return NAN; /* infinity too: not finite is missing */
    const double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static double to_double(uint64_t raw, unsigned words) {
    if (words == 1) return half((unsigned)raw);
    if (words == 2) {
        const uint32_t bits = (uint32_t)raw;
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &raw, sizeof value);
    return value;
}

/* The two's complement integer of 16 * words bits, without a cast that the compiler may choose the meaning of. */
static int64_t to_signed(uint64_t raw, unsigned words) {
    const uint64_t sign = (uint64_t)1 << (16 * words - 1);
    if (!(raw & sign)) return (int64_t)raw;
    return -(int64_t)((sign - 1) - (raw & (sign - 1))) - 1;
}

static bool to_decimal(uint64_t raw, unsigned words, uint64_t *value) {
    uint64_t sum = 0;
    for (unsigned digit = 4 * words; digit-- > 0;) {
        const unsigned nibble = raw >> (4 * digit) & 15;
        if (nibble > 9) return false;
        sum = 10 * sum + nibble;
    }
    *value = sum;
    return true;
}

/* raw -> value. A power of ten up to 10^10 is exact in a double, so the only rounding is that of the division. */
static bool scaled(const uint8_t *registers, const ev_modbus_point *point, double *value) {
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    double multiply = point->multiply, divide = point->divide;
    if (point->flags & EV_MODBUS_SCALE_AT) {
        const int64_t n = to_signed(load(registers + 2 * (size_t)point->scale_at, 1, point->flags), 1);
        if (n < -10 || n > 10) return false;
        if (n < 0)
            divide *= power[-n];
        else
            multiply *= power[n];
    }
    *value = *value * multiply / divide + point->add;
    return isfinite(*value);
}

static inline void decode_one(const uint8_t *registers, const ev_modbus_point *point, ev_modbus_value *out) {
    const uint8_t *p = registers + 2 * (size_t)point->offset;
    out->kind = EV_MODBUS_NONE;
    out->as.u = 0;
    if (point->type == EV_MODBUS_STRING || point->type == EV_MODBUS_STRING_LOW) {
        out->kind = EV_MODBUS_TEXT;
        return;
    }
    const uint64_t raw = load(p, point->words, point->flags);
    if (point->flags & EV_MODBUS_MISSING && raw == point->missing) return;
    double value;
    switch (point->type) {
    case EV_MODBUS_FLOAT16:
    case EV_MODBUS_FLOAT32:
    case EV_MODBUS_FLOAT64:
        value = to_double(raw, point->words);
        if (!isfinite(value)) return;
        out->kind = EV_MODBUS_REAL;
        break;
    case EV_MODBUS_INT16:
    case EV_MODBUS_INT32:
    case EV_MODBUS_INT64:
        out->kind = EV_MODBUS_SIGNED;
        out->as.i = to_signed(raw, point->words);
        value = (double)out->as.i;
        break;
    case EV_MODBUS_BITS:
        out->kind = point->width == 1 ? EV_MODBUS_FLAG : EV_MODBUS_UNSIGNED;
        out->as.u = raw >> point->bit & (((uint64_t)1 << point->width) - 1);
        value = (double)out->as.u;
        break;
    case EV_MODBUS_BCD16:
    case EV_MODBUS_BCD32:
    case EV_MODBUS_BCD64:
        if (!to_decimal(raw, point->words, &out->as.u)) return;
        out->kind = EV_MODBUS_UNSIGNED;
        value = (double)out->as.u;
        break;
    default:
        out->kind = EV_MODBUS_UNSIGNED;
        out->as.u = raw;
        value = (double)raw;
        break;
    }
    if (point->flags & (EV_MODBUS_SCALED | EV_MODBUS_SCALE_AT))
        out->kind = scaled(registers, point, &value) ? EV_MODBUS_REAL : EV_MODBUS_NONE;
    if (out->kind == EV_MODBUS_REAL) out->as.f = value;
}

size_t ev_modbus_reach(const ev_modbus_point *points, size_t count) {
    size_t reach = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t end = 2 * ((size_t)points[i].offset + points[i].words);
        if (end > reach) reach = end;
        const size_t scale = points[i].flags & EV_MODBUS_SCALE_AT ? 2 * ((size_t)points[i].scale_at + 1) : 0;
        if (scale > reach) reach = scale;
    }
    return reach;
}

bool ev_modbus_decode(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                      ev_modbus_value *out) {
    if (ev_modbus_reach(points, count) > len) return false;
    for (size_t i = 0; i < count; i++)
        decode_one(registers, &points[i], &out[i]);
    return true;
}

bool ev_modbus_decode_doubles(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                              void *out, uint8_t *valid) {
    if (ev_modbus_reach(points, count) > len) return false;
    unsigned char *to = out;
    for (size_t i = 0; i < count; i++, to += sizeof(double)) {
        ev_modbus_value value;
        double number = NAN;
        decode_one(registers, &points[i], &value);
        if (value.kind == EV_MODBUS_REAL)
            number = value.as.f;
        else if (value.kind == EV_MODBUS_SIGNED)
            number = (double)value.as.i;
        else if (value.kind == EV_MODBUS_UNSIGNED || value.kind == EV_MODBUS_FLAG)
            number = (double)value.as.u;
        valid[i] = value.kind != EV_MODBUS_NONE && value.kind != EV_MODBUS_TEXT;
        memcpy(to, &number, sizeof number);
    }
    return true;
}

size_t ev_modbus_text(const uint8_t *registers, const ev_modbus_point *point, char *out) {
    const uint8_t *p = registers + 2 * (size_t)point->offset;
    const size_t words = point->words, first = point->flags & EV_MODBUS_BYTES_LITTLE ? 1 : 0;
    size_t len = 0;
    for (size_t i = 0; i < words; i++) {
        const uint8_t *word = p + 2 * (point->flags & EV_MODBUS_WORDS_LITTLE ? words - 1 - i : i);
        if (point->type == EV_MODBUS_STRING) out[len++] = (char)word[first];
        out[len++] = (char)word[1 - first];
    }
    while (len > 0 && (out[len - 1] == '\0' || out[len - 1] == ' '))
        len--;
    return len;
}
