/* Input: unit, length n of a request PDU, n bytes PDU, then what came from the line. Held against a finder that is
 * written separately and slowly: what it finds, bytes at once and one by one must give the same; what is found is a
 * whole frame with a right CRC; the TCP check never accepts what is not the reply. Register points made of the same
 * bytes never read past the block. */
#include "evcore/modbus.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static unsigned slow_crc(const uint8_t *data, size_t len) {
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

/* The content of a good reply, by the specification's reply formats. */
static int is_content(const uint8_t *data, size_t len, const uint8_t *pdu) {
    const size_t count = (size_t)pdu[3] << 8 | pdu[4];
    if (pdu[0] <= 4 || pdu[0] == 23) {
        const size_t bytes = pdu[0] <= 2 ? (count + 7) / 8 : 2 * count;
        return data[2] == bytes && len == bytes + 5;
    }
    const size_t echo = pdu[0] == 22 ? 6 : 4;
    return len == 4 + echo && memcmp(data + 2, pdu + 1, echo) == 0;
}

/* Is data[0..len) itself the good or the exception reply? The CRC last: it takes longest. */
static int is_reply(const uint8_t *data, size_t len, uint8_t unit, const uint8_t *pdu) {
    if (len < 5 || data[0] != unit) return 0;
    const int refused = data[1] == (pdu[0] | 0x80);
    if (refused ? len != 5 : data[1] != pdu[0] || !is_content(data, len, pdu)) return 0;
    if (slow_crc(data, len - 2) != (data[len - 2] | (unsigned)data[len - 1] << 8)) return 0;
    return refused ? 2 : 1;
}

static int slow_find(const uint8_t *data, size_t len, uint8_t unit, const uint8_t *pdu, size_t *end) {
    for (size_t i = 0; i < len; i++)
        for (*end = i + 5; *end <= len && *end <= i + 256; ++*end) {
            const int found = is_reply(data + i, *end - i, unit, pdu);
            if (found) return found;
        }
    return 0;
}

static void find_both_ways(const uint8_t *data, size_t len, const ev_modbus_want *want, const uint8_t *pdu) {
    ev_modbus_reply reply, again;
    size_t end;
    const int expected = slow_find(data, len, want->unit, pdu, &end);
    const ev_modbus_status status = ev_modbus_rtu_find(data, len, want, true, &reply);
    MUST(status == (expected == 0 ? EV_MODBUS_MORE : expected == 1 ? EV_MODBUS_OK : EV_MODBUS_REFUSED));
    if (expected) {
        MUST(reply.end == end);
        if (status == EV_MODBUS_OK) MUST(reply.at + reply.len + 2 == end);
        size_t from = end;
        do
            MUST(from-- > 0);
        while (!is_reply(data + from, end - from, want->unit, pdu));
    }
    size_t dropped = 0;
    ev_modbus_status one_by_one = EV_MODBUS_MORE;
    for (size_t n = 1; n <= len && one_by_one == EV_MODBUS_MORE; n++) {
        one_by_one = ev_modbus_rtu_find(data + dropped, n - dropped, want, false, &again);
        MUST(one_by_one != EV_MODBUS_MORE || dropped + again.at <= n);
        if (one_by_one == EV_MODBUS_MORE) dropped += again.at;
    }
    if (one_by_one == EV_MODBUS_MORE)
        one_by_one = ev_modbus_rtu_find(data + dropped, len - dropped, want, true, &again);
    MUST(one_by_one == status);
    if (expected) MUST(dropped + again.end == reply.end && again.got == reply.got);
}

static void check_tcp(const uint8_t *data, size_t len, const ev_modbus_want *want) {
    ev_modbus_reply reply;
    size_t size;
    const ev_modbus_status framed = ev_modbus_tcp_size(data, len, &size);
    MUST(framed != EV_MODBUS_OK || (size >= 8 && size <= len && size <= EV_MODBUS_TCP_MAX));
    const uint16_t transaction = (uint16_t)(len < 2 ? 0 : data[0] << 8 | data[1]);
    const ev_modbus_status status = ev_modbus_tcp_check(data, len, want, transaction, &reply);
    if (status <= EV_MODBUS_REFUSED) MUST(framed == EV_MODBUS_OK && size == len && reply.end == len);
    if (status == EV_MODBUS_OK) MUST(reply.at + reply.len == len);
}

static void decode_points(const uint8_t *data, size_t len) {
    static const uint8_t words[] = {1, 1, 2, 2, 4, 4, 2, 4, 3, 1, 1, 1, 2, 4, 3};
    ev_modbus_point points[8] = {{0}};
    ev_modbus_value values[8];
    size_t count = 0;
    for (; count < 8 && 4 * count + 4 <= len; count++) {
        const uint8_t *p = data + 4 * count;
        ev_modbus_point point = {.offset = p[0], .type = p[1] % 15, .flags = p[2] & 31, .multiply = 1, .divide = 10};
        point.words = words[point.type];
        point.bit = p[3] & 7;
        point.width = (uint8_t)(1 + (p[3] >> 4 & 7));
        point.missing = p[3];
        point.scale_at = p[3];
        points[count] = point;
    }
    const bool fits = ev_modbus_decode(data, len, points, count, values);
    MUST(fits == (ev_modbus_reach(points, count) <= len));
    double numbers[8];
    uint8_t valid[8];
    MUST(fits == ev_modbus_decode_doubles(data, len, points, count, numbers, valid));
    for (size_t i = 0; fits && i < count; i++) {
        MUST(valid[i] == (isfinite(numbers[i]) ? 1 : 0));
        MUST(!valid[i] || values[i].kind != EV_MODBUS_REAL || numbers[i] == values[i].as.f);
        char text[6];
        const bool is_text = points[i].type == EV_MODBUS_STRING || points[i].type == EV_MODBUS_STRING_LOW;
        MUST(values[i].kind <= EV_MODBUS_FLAG);
        MUST(is_text == (values[i].kind == EV_MODBUS_TEXT));
        if (is_text) MUST(ev_modbus_text(data, &points[i], text) <= 6);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || data[1] > size - 2) return 0;
    const uint8_t *pdu = data + 2, *line = pdu + data[1];
    const size_t len = size - 2 - data[1];
    ev_modbus_want want;
    decode_points(line, len);
    if (len > 1024 || !ev_modbus_want_of(pdu, data[1], data[0], &want)) return 0;
    find_both_ways(line, len, &want, pdu);
    check_tcp(line, len, &want);
    return 0;
}
