/* What is the reply to a Modbus request, written a second time: slowly, from the formats of MODBUS Application Protocol
 * V1.1b3, with nothing of modbus.c. Of the custom functions 65 has three bytes, 66 a byte count after two bytes, 67
 * repeats two bytes. */
#ifndef EVCORE_TWIN_MODBUS_H
#define EVCORE_TWIN_MODBUS_H

#include "evcore/modbus.h"
#include <string.h>

/* Serial Line V1.02, 2.5.1.2, bit by bit but for a table of what eight bits do. */
static unsigned twin_crc(const uint8_t *data, size_t len) {
    static unsigned table[256];
    for (unsigned byte = 0; table[1] == 0 && byte < 256; byte++) {
        unsigned crc = 255 - byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
        table[255 - byte] = crc;
    }
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < len; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xFF];
    return crc;
}

static unsigned twin_word(const uint8_t *p) {
    return p[0] * 256u + p[1];
}

/* 6.14: each group has its length, 6, and the registers that were asked for. */
static int twin_files(const uint8_t *p, size_t len, const uint8_t *q) {
    size_t at = 2;
    if (len < 2 || p[1] != len - 2) return 0;
    for (const uint8_t *group = q + 2; group < q + 2 + q[1]; group += 7) {
        const size_t bytes = 2 * (size_t)twin_word(group + 5);
        if (at + 2 + bytes > len || p[at] != bytes + 1 || p[at + 1] != 6) return 0;
        at += 2 + bytes;
    }
    return at == len;
}

/* 6.21 */
static int twin_objects(const uint8_t *p, size_t len, const uint8_t *q) {
    if (len < 9 || p[1] != 14 || p[2] != q[2]) return 0;
    const int level = q[2], asked = q[3], last_number = level == 1 ? 2 : level == 2 ? 127 : 255;
    if (p[3] != 1 && p[3] != 2 && p[3] != 3 && p[3] != 0x81 && p[3] != 0x82 && p[3] != 0x83) return 0;
    if (p[4] != 0 && p[4] != 0xFF) return 0;
    int before = -1, number = 0;
    size_t at = 7;
    for (; number < p[6]; number++) {
        if (at + 2 > len || p[at] <= before || p[at] > last_number) return 0;
        if (number == 0 && p[at] < asked && p[at] != 0) return 0;
        if (level == 4 && p[at] != asked) return 0;
        before = p[at];
        at += 2u + p[at + 1];
    }
    if (at != len || number == 0 || (level == 4 && (number != 1 || p[4] != 0))) return 0;
    return p[4] == 0 || p[5] > before;
}

/* Is p[0..len) the PDU of a good reply to the valid request q[0..n)? */
static int twin_good(const uint8_t *p, size_t len, const uint8_t *q, size_t n) {
    if (len < 2 || p[0] != q[0]) return 0;
    switch (q[0]) {
    case 1:
    case 2:
        return p[1] == (twin_word(q + 3) + 7) / 8 && len == 2u + p[1];
    case 3:
    case 4:
    case 23:
        return p[1] == 2 * twin_word(q + 3) && len == 2u + p[1];
    case 5:
    case 6:
    case 15:
    case 16:
        return len == 5 && memcmp(p, q, 5) == 0;
    case 7:
        return len == 2;
    case 8:
        if (q[2] == 2 || (q[2] >= 11 && q[2] <= 18)) return len == 5 && p[1] == 0 && p[2] == q[2];
        return len == n && memcmp(p, q, n) == 0;
    case 11:
        return len == 5;
    case 12:
        return len >= 8 && len <= 72 && p[1] == len - 2;
    case 17:
        return len >= 3 && p[1] == len - 2;
    case 20:
        return twin_files(p, len, q);
    case 21:
    case 22:
        return len == n && memcmp(p, q, n) == 0;
    case 24:
        return len >= 5 && twin_word(p + 1) == len - 3 && twin_word(p + 3) <= 31 && len == 5 + 2 * twin_word(p + 3);
    case 43:
        return twin_objects(p, len, q);
    case 65:
        return len == 4;
    case 66:
        return len >= 4 && p[3] == len - 4;
    default:
        return len == 3 && p[1] == q[1] && p[2] == q[2];
    }
}

/* Is data[0..len) itself a reply? 1: a good one, 2: an exception, 0: no. The CRC last: it takes longest. */
static int twin_is_reply(const uint8_t *data, size_t len, uint8_t unit, const uint8_t *q, size_t n) {
    if (len < 5 || len > 256 || data[0] != unit) return 0;
    const int refused = data[1] == q[0] + 128;
    if (refused ? len != 5 : !twin_good(data + 1, len - 3, q, n)) return 0;
    if (twin_crc(data, len - 2) != data[len - 2] + data[len - 1] * 256u) return 0;
    return refused ? 2 : 1;
}

/* The first reply in data[0..len): as twin_is_reply, and where it begins and ends. */
static int twin_find(const uint8_t *data, size_t len, uint8_t unit, const uint8_t *q, size_t n, size_t *from,
                     size_t *end) {
    for (*from = 0; *from < len; ++*from) {
        if (data[*from] != unit) continue;
        for (*end = *from + 5; *end <= len && *end <= *from + 256; ++*end) {
            const int found = twin_is_reply(data + *from, *end - *from, unit, q, n);
            if (found) return found;
        }
    }
    return 0;
}

/* The expectation of a request, custom ones too. */
static bool twin_want(const uint8_t *q, size_t n, uint8_t unit, ev_modbus_want *want) {
    if (n > 0 && q[0] == 65) return ev_modbus_want_custom(q, n, unit, EV_MODBUS_FIXED, false, 3, want);
    if (n > 0 && q[0] == 66) return ev_modbus_want_custom(q, n, unit, EV_MODBUS_COUNTED_AT, false, 2, want);
    if (n > 0 && q[0] == 67) return ev_modbus_want_custom(q, n, unit, EV_MODBUS_FIXED, true, 2, want);
    return ev_modbus_want_of(q, n, unit, want);
}

#endif
