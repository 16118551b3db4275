/* Vectors computed by hand from the definition of DBC bit numbers; the comments show the bits. */
#include "check.h"
#include "evcore/can.h"
#include <string.h>

static const uint8_t COUNTING[9] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x5A};

static ev_can_signal make(uint32_t start, uint32_t bits, ev_can_order order, ev_can_kind kind) {
    ev_can_signal signal;
    CHECK(ev_can_signal_init(&signal, start, bits, order, kind) == EV_CAN_OK);
    return signal;
}

/* Decodes one signal of data[0..len), a frame of any length. 0xBAD: it is not there. */
static uint64_t one(ev_can_signal signal, const uint8_t *data, size_t len) {
    const ev_can_plan plan = {&signal, NULL, 1, 0};
    uint64_t raw = 1;
    uint8_t valid = 9;
    size_t at = 0;
    CHECK(ev_can_decode(&plan, data, len, &raw, &valid, &at) == EV_CAN_OK);
    CHECK(valid <= 1);
    return valid ? raw : 0xBAD;
}

static void places(void) {
    for (size_t len = 8; len <= 9; len++) { /* 8: the one-word path, 9: the general one */
        CHECK(one(make(0, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 0x01);
        CHECK(one(make(0, 16, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 0x2301);
        CHECK(one(make(4, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 0x30); /* 0x2301 >> 4 */
        CHECK(one(make(9, 3, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 1);    /* 0010 001x: bits 1..3 = 001 */
        CHECK(one(make(63, 1, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 1);   /* top bit of 0xEF */
        CHECK(one(make(60, 1, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 0);   /* 1110 1111: bit 4 */
        CHECK(one(make(7, 8, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 0x01);
        CHECK(one(make(7, 16, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 0x0123);
        CHECK(one(make(3, 8, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 0x12); /* low nibble, high nibble */
        CHECK(one(make(2, 5, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 4);    /* 001 00 */
        CHECK(one(make(56, 1, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 1);   /* lowest bit of 0xEF */
        CHECK(one(make(0, 64, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, len) == 0xEFCDAB8967452301u);
        CHECK(one(make(7, 64, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, len) == 0x0123456789ABCDEFu);
    }
    /* 64 bits over nine bytes: 0x5AEFCDAB8967452301 >> 4 and 0x0123456789ABCDEF5A >> 4, low 64 bits */
    CHECK(one(make(4, 64, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, 9) == 0xAEFCDAB896745230u);
    CHECK(one(make(3, 64, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, 9) == 0x123456789ABCDEF5u);
    /* 58 bits from bit 7 of byte 0: 0 (top bit of 0x01), then 0x23.. low to high; shift 7 in nine bytes */
    CHECK(one(make(7, 58, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, 9) ==
          (0x5AEFCDAB89674523u << 1 & 0x3FFFFFFFFFFFFFFu));
}

static void signs_and_floats(void) {
    CHECK(one(make(4, 4, EV_CAN_LITTLE, EV_CAN_SIGNED), (const uint8_t[]){0xF0}, 1) == UINT64_MAX);      /* -1 */
    CHECK(one(make(4, 4, EV_CAN_LITTLE, EV_CAN_SIGNED), (const uint8_t[]){0x80}, 1) == (uint64_t)0 - 8); /* 1000 */
    CHECK(one(make(4, 4, EV_CAN_LITTLE, EV_CAN_SIGNED), (const uint8_t[]){0x7F}, 1) == 7);
    CHECK(one(make(0, 1, EV_CAN_LITTLE, EV_CAN_SIGNED), (const uint8_t[]){0x01}, 1) == UINT64_MAX);
    CHECK(one(make(7, 64, EV_CAN_BIG, EV_CAN_SIGNED), (const uint8_t[]){0x80, 0, 0, 0, 0, 0, 0, 0}, 8) ==
          0x8000000000000000u);
    /* 1.0f = 0x3F800000, -2.0 = 0xC000000000000000 (IEEE 754); 1.0 = 0x3FF0000000000000 */
    CHECK(one(make(7, 32, EV_CAN_BIG, EV_CAN_FLOAT32), (const uint8_t[]){0x3F, 0x80, 0, 0}, 4) == 0x3FF0000000000000u);
    CHECK(one(make(0, 32, EV_CAN_LITTLE, EV_CAN_FLOAT32), (const uint8_t[]){0, 0, 0x80, 0x3F}, 4) ==
          0x3FF0000000000000u);
    CHECK(one(make(7, 64, EV_CAN_BIG, EV_CAN_FLOAT64), (const uint8_t[]){0xC0, 0, 0, 0, 0, 0, 0, 0}, 8) ==
          0xC000000000000000u);
    /* byte 62 and 63 of a CAN FD payload */
    uint8_t fd[64] = {0};
    fd[62] = 0x12;
    fd[63] = 0x34;
    CHECK(one(make(62 * 8, 16, EV_CAN_LITTLE, EV_CAN_UNSIGNED), fd, 64) == 0x3412);
    CHECK(one(make(62 * 8 + 7, 16, EV_CAN_BIG, EV_CAN_UNSIGNED), fd, 64) == 0x1234);
}

static void physical(void) {
    ev_can_signal signal = make(0, 16, EV_CAN_LITTLE, EV_CAN_UNSIGNED);
    signal.factor = 0.1;
    signal.offset = -400;
    CHECK(ev_can_physical(&signal, 4000) == 0);
    signal.kind = EV_CAN_SIGNED;
    signal.factor = 0.5;
    signal.offset = 1;
    CHECK(ev_can_physical(&signal, (uint64_t)0 - 3) == -0.5);
    signal.kind = EV_CAN_UNSIGNED;
    signal.factor = 1;
    signal.offset = 0;
    CHECK(ev_can_physical(&signal, UINT64_MAX) == 18446744073709551616.0);
    signal.kind = EV_CAN_FLOAT64;
    signal.factor = 2;
    CHECK(ev_can_physical(&signal, 0x3FF0000000000000u) == 2);
    /* 0.1 is above a tenth: fused, 10 * 0.1 - 1 would be 2^-54 and not 0 */
    signal.kind = EV_CAN_UNSIGNED;
    signal.factor = 0.1;
    signal.offset = -1;
    CHECK(ev_can_physical(&signal, 10) == 0);
}

static void short_frames(void) {
    CHECK(one(make(0, 9, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, 1) == 0xBAD);
    CHECK(one(make(0, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED), COUNTING, 1) == 1);
    CHECK(one(make(0, 9, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, 1) == 0xBAD); /* bit 0 of byte 0, then byte 1 */
    CHECK(one(make(0, 9, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, 2) == 0x123);
    CHECK(one(make(0, 10, EV_CAN_BIG, EV_CAN_UNSIGNED), COUNTING, 2) == 0xBAD);
    CHECK(one(make(0, 1, EV_CAN_LITTLE, EV_CAN_UNSIGNED), NULL, 0) == 0xBAD);

    const ev_can_signal signal = make(0, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED);
    const ev_can_plan whole = {&signal, NULL, 1, 7};
    uint64_t raw;
    uint8_t valid;
    size_t at = 0;
    CHECK(ev_can_decode(&whole, COUNTING, 6, &raw, &valid, &at) == EV_CAN_SHORT && at == 7);
    CHECK(ev_can_decode(&whole, COUNTING, 8, &raw, &valid, &at) == EV_CAN_OK && raw == 1); /* excess is no fault */
}

/* Byte 0: a multiplexer; with 1 or 4..6 byte 1 is a second one, which with 2 shows byte 2. With 9: nothing else. */
static void multiplexers(void) {
    const ev_can_range ranges[] = {{1, 1}, {4, 6}, {9, 9}, {2, 2}};
    ev_can_signal signals[3] = {
        make(0, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED),
        make(8, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED),
        make(16, 8, EV_CAN_LITTLE, EV_CAN_UNSIGNED),
    };
    signals[0].known_count = 3;
    signals[1].selector = 0;
    signals[1].range_count = 2;
    signals[1].known = 3;
    signals[1].known_count = 1;
    signals[2].selector = 1;
    signals[2].ranges = 3;
    signals[2].range_count = 1;
    const ev_can_plan plan = {signals, ranges, 3, 3};
    uint64_t raw[3];
    uint8_t valid[3];
    size_t at = 99;

    CHECK(ev_can_decode(&plan, (const uint8_t[]){1, 2, 7}, 3, raw, valid, &at) == EV_CAN_OK);
    CHECK(valid[0] && valid[1] && valid[2] && raw[2] == 7);
    CHECK(ev_can_decode(&plan, (const uint8_t[]){5, 2, 8}, 3, raw, valid, &at) == EV_CAN_OK && raw[2] == 8);
    CHECK(ev_can_decode(&plan, (const uint8_t[]){9, 2, 7}, 3, raw, valid, &at) == EV_CAN_OK);
    CHECK(valid[0] && !valid[1] && !valid[2]); /* what is not selected selects nothing */
    CHECK(ev_can_decode(&plan, (const uint8_t[]){0, 2, 7}, 3, raw, valid, &at) == EV_CAN_SELECTOR && at == 0);
    CHECK(ev_can_decode(&plan, (const uint8_t[]){7, 2, 7}, 3, raw, valid, &at) == EV_CAN_SELECTOR && at == 0);
    CHECK(ev_can_decode(&plan, (const uint8_t[]){6, 3, 7}, 3, raw, valid, &at) == EV_CAN_SELECTOR && at == 1);
}

static void refused(void) {
    ev_can_signal signal;
    CHECK(ev_can_signal_init(&signal, 0, 0, EV_CAN_LITTLE, EV_CAN_UNSIGNED) == EV_CAN_BAD_BITS);
    CHECK(ev_can_signal_init(&signal, 0, 65, EV_CAN_LITTLE, EV_CAN_UNSIGNED) == EV_CAN_BAD_BITS);
    CHECK(ev_can_signal_init(&signal, 0, 16, EV_CAN_LITTLE, EV_CAN_FLOAT32) == EV_CAN_BAD_BITS);
    CHECK(ev_can_signal_init(&signal, 0, 32, EV_CAN_BIG, EV_CAN_FLOAT64) == EV_CAN_BAD_BITS);
    CHECK(ev_can_signal_init(&signal, 8 * EV_CAN_BYTES_MAX, 1, EV_CAN_BIG, EV_CAN_UNSIGNED) == EV_CAN_BAD_PLACE);
    CHECK(ev_can_signal_init(&signal, UINT32_MAX, 1, EV_CAN_BIG, EV_CAN_UNSIGNED) == EV_CAN_BAD_PLACE);
    CHECK(ev_can_signal_init(&signal, 8 * EV_CAN_BYTES_MAX - 1, 2, EV_CAN_LITTLE, EV_CAN_UNSIGNED) == EV_CAN_BAD_PLACE);
    CHECK(ev_can_signal_init(&signal, 8 * EV_CAN_BYTES_MAX - 1, 1, EV_CAN_LITTLE, EV_CAN_UNSIGNED) == EV_CAN_OK);
}

int main(void) {
    places();
    signs_and_floats();
    physical();
    short_frames();
    multiplexers();
    refused();
    CHECK_DONE();
}
