/* A plan from the input, a frame from the rest. Properties: every value equals the one gathered bit by bit from the
 * definition, what lies outside the frame is not valid, and nothing is read outside it (sanitizers).
 * Input: signal count - 1 (4 bits) and flags; 6 bytes a signal: start (2), bits, kind and order, selector, its value;
 * then the frame. */
#include "evcore/can.h"
#include <stdlib.h>
#include <string.h>

#define SIGNALS 16

static uint64_t bit_by_bit(uint32_t start, uint32_t bits, int big, const uint8_t *data) {
    uint64_t value = 0;
    uint32_t at = start;
    for (uint32_t i = 0; i < bits; i++) {
        const uint64_t bit = (uint64_t)(data[at / 8] >> (at % 8)) & 1u;
        if (big) {
            value = value << 1 | bit;
            at = at % 8 == 0 ? at + 15 : at - 1;
        } else {
            value |= bit << i;
            at++;
        }
    }
    return value;
}

static void require(int true_of_all_input) {
    if (!true_of_all_input) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const uint32_t count = (data[0] & 15u) + 1;
    const size_t header = 1 + 6 * (size_t)count;
    if (size < header) return 0;
    ev_can_signal signals[SIGNALS];
    ev_can_range ranges[SIGNALS];
    uint32_t starts[SIGNALS];
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *spec = data + 1 + 6 * i;
        starts[i] = (uint32_t)(spec[0] | spec[1] << 8);
        const ev_can_kind kind = (ev_can_kind)(spec[3] & 3);
        const ev_can_order order = spec[3] & 4 ? EV_CAN_BIG : EV_CAN_LITTLE;
        ranges[i] = (ev_can_range){spec[5] & 15, (spec[5] & 15) + (spec[5] >> 4)};
        if (ev_can_signal_init(&signals[i], starts[i], spec[2], order, kind) != EV_CAN_OK) return 0;
        if (spec[3] & 8 && i > 0) {
            signals[i].selector = (int32_t)(spec[4] % i);
            signals[i].ranges = i;
            signals[i].range_count = 1;
        }
        signals[i].known = i;
        signals[i].known_count = spec[3] & 16 ? 1 : 0;
    }
    const uint8_t *frame = data + header;
    const size_t len = size - header;
    const ev_can_plan plan = {signals, ranges, count, data[0] & 16 ? data[0] >> 5 : 0};
    uint64_t raw[SIGNALS];
    uint8_t valid[SIGNALS];
    size_t at = 0;
    const ev_can_status status = ev_can_decode(&plan, frame, len, raw, valid, &at);
    require(status == EV_CAN_OK || status == EV_CAN_SHORT || status == EV_CAN_SELECTOR);
    require((status == EV_CAN_SHORT) == (len < plan.length));
    if (status != EV_CAN_OK) return 0;
    for (uint32_t i = 0; i < count; i++) {
        const ev_can_signal *signal = &signals[i];
        if (signal->need > len) require(!valid[i]);
        if (!valid[i]) continue;
        uint64_t expected = bit_by_bit(starts[i], signal->bits, signal->order == EV_CAN_BIG, frame);
        if (signal->kind == EV_CAN_FLOAT32) continue; /* its value is the compiler's own conversion */
        if (signal->kind == EV_CAN_SIGNED && signal->bits < 64 && expected >> (signal->bits - 1))
            expected |= UINT64_MAX << signal->bits;
        require(raw[i] == expected);
        (void)ev_can_physical(signal, raw[i]);
    }
    return 0;
}
