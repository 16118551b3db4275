/* Input: unit, length n of a request PDU, n bytes PDU, then what came from the line. Held against a finder that is
 * written separately and slowly: what it finds, bytes at once and one by one must give the same; what is found is a
 * whole frame with a right CRC; the TCP check never accepts what is not the reply. Register points made of the same
 * bytes never read past the block. */
#include "twin_modbus.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static void find_both_ways(const uint8_t *data, size_t len, const ev_modbus_want *want, const uint8_t *pdu, size_t n) {
    ev_modbus_reply reply, again;
    size_t from, end;
    const int expected = twin_find(data, len, want->unit, pdu, n, &from, &end);
    const ev_modbus_status status = ev_modbus_rtu_find(data, len, want, true, &reply);
    MUST(status == (expected == 0 ? EV_MODBUS_MORE : expected == 1 ? EV_MODBUS_OK : EV_MODBUS_REFUSED));
    if (expected) {
        MUST(reply.end == end);
        if (status == EV_MODBUS_OK) MUST(reply.at + reply.len + 2 == end);
        MUST(ev_modbus_rtu_check(data + from, end - from, want, &again) == status && from + again.at == reply.at);
        MUST(status != EV_MODBUS_OK || reply.at == from + ev_modbus_reply_around(want) - 2);
        MUST(end - from <= ev_modbus_reply_max(want) || status == EV_MODBUS_REFUSED);
    }
    size_t dropped = 0;
    ev_modbus_status one_by_one = EV_MODBUS_MORE;
    for (size_t heard = 1; heard <= len && one_by_one == EV_MODBUS_MORE; heard++) {
        one_by_one = ev_modbus_rtu_find(data + dropped, heard - dropped, want, false, &again);
        MUST(one_by_one != EV_MODBUS_MORE || dropped + again.at <= heard);
        if (one_by_one == EV_MODBUS_MORE) dropped += again.at;
    }
    if (one_by_one == EV_MODBUS_MORE)
        one_by_one = ev_modbus_rtu_find(data + dropped, len - dropped, want, true, &again);
    MUST(one_by_one == status);
    if (expected) MUST(dropped + again.end == reply.end && again.got == reply.got);
}

static void check_tcp(const uint8_t *data, size_t len, const ev_modbus_want *want, const uint8_t *pdu, size_t n) {
    ev_modbus_reply reply;
    size_t size;
    const ev_modbus_status framed = ev_modbus_tcp_size(data, len, &size);
    MUST(framed != EV_MODBUS_OK || (size >= 8 && size <= len && size <= EV_MODBUS_TCP_MAX));
    const uint16_t transaction = (uint16_t)(len < 2 ? 0 : data[0] << 8 | data[1]);
    const ev_modbus_status status = ev_modbus_tcp_check(data, len, want, transaction, &reply);
    if (status <= EV_MODBUS_REFUSED) MUST(framed == EV_MODBUS_OK && size == len && reply.end == len);
    if (status == EV_MODBUS_OK) MUST(reply.at + reply.len == len);
    if (framed == EV_MODBUS_OK && size == len && data[6] == want->unit)
        MUST((status == EV_MODBUS_OK) == twin_good(data + 7, len - 7, pdu, n));
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
    if (len > 1024 || !twin_want(pdu, data[1], data[0], &want)) return 0;
    find_both_ways(line, len, &want, pdu, data[1]);
    check_tcp(line, len, &want, pdu, data[1]);
    return 0;
}
