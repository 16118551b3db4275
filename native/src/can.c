/* CAN signals. A signal lies in at most nine bytes: eight of them are one 64-bit word, the ninth gives the rest. */
#include "evcore/can.h"
#include <string.h>

ev_can_status ev_can_signal_init(ev_can_signal *signal, uint32_t start, uint32_t bits, ev_can_order order,
                                 ev_can_kind kind) {
    const uint32_t wanted = kind == EV_CAN_FLOAT32 ? 32 : kind == EV_CAN_FLOAT64 ? 64 : bits;
    if (bits == 0 || bits > 64 || bits != wanted) return EV_CAN_BAD_BITS;
    if (start >= 8 * EV_CAN_BYTES_MAX) return EV_CAN_BAD_PLACE;
    const uint32_t byte = start / 8, bit = start % 8;
    const uint32_t before = order == EV_CAN_BIG ? 7 - bit : bit; /* bits of the first byte that come before it */
    const uint32_t end = 8 * byte + before + bits;
    if (end > 8 * EV_CAN_BYTES_MAX) return EV_CAN_BAD_PLACE;
    *signal = (ev_can_signal){
        .first = (uint16_t)byte,
        .need = (uint16_t)((end + 7) / 8),
        .bits = (uint8_t)bits,
        .kind = (uint8_t)kind,
        .order = (uint8_t)order,
        .shift = (uint8_t)(order == EV_CAN_BIG ? (8 - end % 8) % 8 : before),
        .selector = EV_CAN_NO_SELECTOR,
        .factor = 1,
    };
    return EV_CAN_OK;
}

static uint64_t load(const uint8_t *data, unsigned bytes, ev_can_order order) {
    uint64_t word = 0;
    for (unsigned i = 0; i < bytes; i++)
        word |= (uint64_t)data[i] << (8 * (order == EV_CAN_BIG ? bytes - 1 - i : i));
    return word;
}

/* Eight bytes at once: compilers make one load (and a swap) of this. */
static uint64_t load8(const uint8_t *data) {
    return (uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16 | (uint64_t)data[3] << 24 |
           (uint64_t)data[4] << 32 | (uint64_t)data[5] << 40 | (uint64_t)data[6] << 48 | (uint64_t)data[7] << 56;
}

static uint64_t swap8(uint64_t word) {
    word = (word & 0x00FF00FF00FF00FFu) << 8 | (word >> 8 & 0x00FF00FF00FF00FFu);
    word = (word & 0x0000FFFF0000FFFFu) << 16 | (word >> 16 & 0x0000FFFF0000FFFFu);
    return word << 32 | word >> 32;
}

/* The signal's bits, right-aligned, with others above them; the caller has checked that the frame holds it. */
static uint64_t window(const ev_can_signal *signal, const uint8_t *data) {
    const uint8_t *from = data + signal->first;
    const unsigned bytes = (unsigned)(signal->need - signal->first);
    if (bytes <= 8) return load(from, bytes, (ev_can_order)signal->order) >> signal->shift;
    /* nine bytes: the shift is 1..7 */
    if (signal->order == EV_CAN_BIG)
        return load(from, 8, EV_CAN_BIG) << (8 - signal->shift) | (uint64_t)(from[8] >> signal->shift);
    return load(from, 8, EV_CAN_LITTLE) >> signal->shift | (uint64_t)from[8] << (64 - signal->shift);
}

static uint64_t widen(const ev_can_signal *signal, uint64_t word) {
    if (signal->bits < 64) word &= ((uint64_t)1 << signal->bits) - 1;
    if (signal->kind == EV_CAN_SIGNED) {
        const uint64_t sign = (uint64_t)1 << (signal->bits - 1);
        return (word ^ sign) - sign;
    }
    if (signal->kind == EV_CAN_FLOAT32) {
        const uint32_t narrow = (uint32_t)word;
        float single;
        memcpy(&single, &narrow, sizeof single);
        const double wide = (double)single;
        memcpy(&word, &wide, sizeof word);
    }
    return word;
}

static int64_t as_signed(uint64_t raw) {
    int64_t value;
    memcpy(&value, &raw, sizeof value);
    return value;
}

/* Binary search: message tables exist with thousands of values. */
static int within(const ev_can_range *ranges, uint32_t count, int64_t value) {
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (value < ranges[middle].low)
            high = middle;
        else if (value > ranges[middle].high)
            low = middle + 1;
        else
            return 1;
    }
    return 0;
}

/* Selected: its multiplexer is there itself and has one of the signal's values. */
static int selected(const ev_can_plan *plan, const ev_can_signal *signal, const uint64_t *raw, const uint8_t *valid) {
    const uint32_t selector = (uint32_t)signal->selector;
    return valid[selector] && within(plan->ranges + signal->ranges, signal->range_count, as_signed(raw[selector]));
}

ev_can_status ev_can_decode(const ev_can_plan *plan, const uint8_t *data, size_t len, uint64_t *raw, uint8_t *valid,
                            size_t *at) {
    if (len < plan->length) {
        *at = plan->length;
        return EV_CAN_SHORT;
    }
    const int one_word = len == 8; /* the usual frame: one load serves all its signals */
    const uint64_t little = one_word ? load8(data) : 0, big = one_word ? swap8(little) : 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        const ev_can_signal *signal = &plan->signals[i];
        valid[i] = 0;
        raw[i] = 0;
        if (signal->need > len) continue;
        if (signal->selector >= 0 && !selected(plan, signal, raw, valid)) continue;
        uint64_t word;
        if (!one_word)
            word = window(signal, data);
        else if (signal->order == EV_CAN_BIG)
            word = big >> (8 * (8 - signal->need) + signal->shift);
        else
            word = little >> (8 * signal->first + signal->shift);
        raw[i] = widen(signal, word);
        valid[i] = 1;
        if (signal->known_count > 0 && !within(plan->ranges + signal->known, signal->known_count, as_signed(raw[i]))) {
            *at = i;
            return EV_CAN_SELECTOR;
        }
    }
    return EV_CAN_OK;
}

double ev_can_physical(const ev_can_signal *signal, uint64_t raw) {
    double value;
    if (signal->kind >= EV_CAN_FLOAT32)
        memcpy(&value, &raw, sizeof value);
    else if (signal->kind == EV_CAN_SIGNED)
        value = (double)as_signed(raw);
    else
        value = (double)raw;
    value *= signal->factor; /* -ffp-contract=off: one fused step would round otherwise than Python */
    return value + signal->offset;
}
