#include "check.h"
#include "evcore/modbus.h"
#include <math.h>
#include <string.h>

/* The examples of MODBUS Application Protocol V1.1b3, 6.1-6.18, 6.21: request and reply PDU (17 and 43/14
 * with other texts). */
static const struct {
    uint8_t request[16], request_len, reply[32], reply_len;
} examples[] = {
    {{0x01, 0x00, 0x13, 0x00, 0x13}, 5, {0x01, 0x03, 0xCD, 0x6B, 0x05}, 5},
    {{0x02, 0x00, 0xC4, 0x00, 0x16}, 5, {0x02, 0x03, 0xAC, 0xDB, 0x35}, 5},
    {{0x03, 0x00, 0x6B, 0x00, 0x03}, 5, {0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64}, 8},
    {{0x04, 0x00, 0x08, 0x00, 0x01}, 5, {0x04, 0x02, 0x00, 0x0A}, 4},
    {{0x05, 0x00, 0xAC, 0xFF, 0x00}, 5, {0x05, 0x00, 0xAC, 0xFF, 0x00}, 5},
    {{0x06, 0x00, 0x01, 0x00, 0x03}, 5, {0x06, 0x00, 0x01, 0x00, 0x03}, 5},
    {{0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01}, 8, {0x0F, 0x00, 0x13, 0x00, 0x0A}, 5},
    {{0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02}, 10, {0x10, 0x00, 0x01, 0x00, 0x02}, 5},
    {{0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25}, 7, {0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25}, 7},
    {{0x17, 0x00, 0x03, 0x00, 0x06, 0x00, 0x0E, 0x00, 0x03, 0x06, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF},
     16,
     {0x17, 0x0C, 0x00, 0xFE, 0x0A, 0xCD, 0x00, 0x01, 0x00, 0x03, 0x00, 0x0D, 0x00, 0xFF},
     14},
    {{0x07}, 1, {0x07, 0x6D}, 2},
    {{0x08, 0x00, 0x00, 0xA5, 0x37}, 5, {0x08, 0x00, 0x00, 0xA5, 0x37}, 5},
    {{0x08, 0x00, 0x0B, 0x00, 0x00}, 5, {0x08, 0x00, 0x0B, 0x00, 0x12}, 5},
    {{0x0B}, 1, {0x0B, 0xFF, 0xFF, 0x01, 0x08}, 5},
    {{0x0C}, 1, {0x0C, 0x08, 0x00, 0x00, 0x01, 0x08, 0x01, 0x21, 0x20, 0x00}, 10},
    {{0x11}, 1, {0x11, 0x04, 0x42, 0xFF, 0x01, 0x02}, 6},
    {{0x14, 0x0E, 0x06, 0x00, 0x04, 0x00, 0x01, 0x00, 0x02, 0x06, 0x00, 0x03, 0x00, 0x09, 0x00, 0x02},
     16,
     {0x14, 0x0C, 0x05, 0x06, 0x0D, 0xFE, 0x00, 0x20, 0x05, 0x06, 0x33, 0xCD, 0x00, 0x40},
     14},
    {{0x15, 0x0D, 0x06, 0x00, 0x04, 0x00, 0x07, 0x00, 0x03, 0x06, 0xAF, 0x04, 0xBE, 0x10, 0x0D},
     15,
     {0x15, 0x0D, 0x06, 0x00, 0x04, 0x00, 0x07, 0x00, 0x03, 0x06, 0xAF, 0x04, 0xBE, 0x10, 0x0D},
     15},
    {{0x18, 0x04, 0xDE}, 3, {0x18, 0x00, 0x06, 0x00, 0x02, 0x01, 0xB8, 0x12, 0x84}, 9},
    {{0x2B, 0x0E, 0x01, 0x00},
     4,
     {0x2B, 0x0E, 0x01, 0x01, 0x00, 0x00, 0x03, 0x00, 0x07, 0x43, 0x6F, 0x6D, 0x70, 0x61, 0x6E, 0x79,
      0x01, 0x07, 0x43, 0x6F, 0x64, 0x65, 0x20, 0x58, 0x58, 0x02, 0x05, 0x56, 0x32, 0x2E, 0x31, 0x31},
     32},
};

/* 6.3 on a serial line, unit 17; the CRCs come from another implementation. */
static const uint8_t read_request[] = {0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87};
static const uint8_t read_reply[] = {0x11, 0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64, 0xC8, 0xBA};
static const uint8_t refusal[] = {0x11, 0x83, 0x02, 0xC1, 0x34};
static const uint8_t good_pdu[] = {0x03, 0x00, 0x6B, 0x00, 0x03};

static void every_example_is_expected_as_the_specification_answers_it(void) {
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        ev_modbus_want want;
        ev_modbus_reply reply;
        uint8_t rtu[EV_MODBUS_RTU_MAX], tcp[EV_MODBUS_TCP_MAX];
        CHECK(ev_modbus_want_of(examples[i].request, examples[i].request_len, 9, &want));
        const size_t r = ev_modbus_rtu_frame(rtu, 9, examples[i].reply, examples[i].reply_len);
        const size_t t = ev_modbus_tcp_frame(tcp, 0x1501, 9, examples[i].reply, examples[i].reply_len);
        CHECK(r == examples[i].reply_len + 3u && t == examples[i].reply_len + 7u);
        CHECK(ev_modbus_rtu_check(rtu, r, &want, &reply) == EV_MODBUS_OK);
        CHECK(ev_modbus_rtu_find(rtu, r, &want, false, &reply) == EV_MODBUS_OK && reply.end == r);
        CHECK(ev_modbus_tcp_check(tcp, t, &want, 0x1501, &reply) == EV_MODBUS_OK);
        CHECK(ev_modbus_tcp_check(tcp, t, &want, 0x1502, &reply) == EV_MODBUS_TRANSACTION);
        for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
            if (k == i) continue;
            ev_modbus_want other;
            CHECK(ev_modbus_want_of(examples[k].request, examples[k].request_len, 9, &other));
            const bool same = examples[k].request[0] == examples[i].request[0]; /* 8, with two sub-functions */
            CHECK(ev_modbus_rtu_check(rtu, r, &other, &reply) == (same ? EV_MODBUS_ECHO : EV_MODBUS_FUNCTION));
            CHECK(ev_modbus_rtu_find(rtu, r, &other, true, &reply) == EV_MODBUS_MORE);
        }
    }
}

static void requests_are_built_as_in_the_specification(void) {
    uint8_t pdu[EV_MODBUS_PDU_MAX], frame[EV_MODBUS_TCP_MAX];
    CHECK(ev_modbus_pdu_short(pdu, 3, 0x6B, 3) == 5 && memcmp(pdu, examples[2].request, 5) == 0);
    CHECK(ev_modbus_rtu_frame(frame, 0x11, pdu, 5) == sizeof read_request);
    CHECK(memcmp(frame, read_request, sizeof read_request) == 0);
    CHECK(ev_modbus_tcp_frame(frame, 0x1501, 0xFF, pdu, 5) == 12); /* Messaging on TCP/IP, 3.1.3 */
    CHECK(memcmp(frame, "\x15\x01\x00\x00\x00\x06\xFF\x03\x00\x6B\x00\x03", 12) == 0);
    CHECK(ev_modbus_pdu_short(pdu, 5, 0xAC, 0xFF00) == 5 && memcmp(pdu, examples[4].request, 5) == 0);
    const uint16_t coils[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 0}, words[] = {0x000A, 0x0102};
    CHECK(ev_modbus_pdu_coils(pdu, 0x13, coils, 10) == 8 && memcmp(pdu, examples[6].request, 8) == 0);
    CHECK(ev_modbus_pdu_registers(pdu, 1, words, 2) == 10 && memcmp(pdu, examples[7].request, 10) == 0);
    CHECK(ev_modbus_pdu_registers(pdu, 1, words, 0) == 0 && ev_modbus_pdu_registers(pdu, 1, words, 124) == 0);
    CHECK(ev_modbus_pdu_coils(pdu, 1, coils, 0) == 0 && ev_modbus_pdu_coils(pdu, 1, coils, 1969) == 0);
    CHECK(ev_modbus_rtu_frame(frame, 1, pdu, 0) == 0 && ev_modbus_tcp_frame(frame, 1, 1, pdu, 254) == 0);
}

static void requests_beyond_the_limits_raise_no_expectation(void) {
    static const uint8_t wrong[][8] = {{3, 0, 0, 0, 0},        {3, 0, 0, 0, 126},         {1, 0, 0, 0x07, 0xD1},
                                       {4, 0xFF, 0xFF, 0, 2},  {5, 0, 0, 0xFF, 0x01},     {7, 0, 0, 0, 1},
                                       {8, 0, 4, 0, 0},        {8, 0, 19, 0, 0},          {8, 0, 2, 0, 1},
                                       {8, 1, 0, 0, 0},        {43, 13, 1, 0, 0},         {24, 0, 0, 0, 0},
                                       {20, 3, 6, 0, 1},       {11, 0, 0, 0, 0},          {9, 0, 0, 0, 1},
                                       {15, 0, 0, 0, 9, 1, 0}, {16, 0, 0, 0, 1, 4, 0, 0}, {16, 0, 0, 0, 0, 0, 0, 0}};
    ev_modbus_want want;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!ev_modbus_want_of(wrong[i], wrong[i][0] == 15 ? 7 : wrong[i][0] == 16 ? 8 : 5, 1, &want));
    CHECK(!ev_modbus_want_of(NULL, 0, 1, &want) && !ev_modbus_want_of(good_pdu, 4, 1, &want));
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        for (size_t len = 0; len < examples[i].request_len; len++)
            CHECK(!ev_modbus_want_of(examples[i].request, len, 1, &want));
}

static void each_wrong_reply_is_named(void) {
    ev_modbus_want want, write;
    ev_modbus_reply reply;
    uint8_t frame[EV_MODBUS_RTU_MAX];
    CHECK(ev_modbus_want_of(good_pdu, 5, 0x11, &want));
    const struct {
        ev_modbus_status status;
        uint8_t unit, pdu[12], len;
        uint32_t expected, got;
    } wrong[] = {
        {EV_MODBUS_UNIT, 0x12, {3, 6, 2, 0x2B, 0, 0, 0, 0x64}, 8, 0x11, 0x12},
        {EV_MODBUS_FUNCTION, 0x11, {4, 6, 2, 0x2B, 0, 0, 0, 0x64}, 8, 3, 4},
        {EV_MODBUS_FUNCTION, 0x11, {0x84, 2}, 2, 3, 0x84},
        {EV_MODBUS_COUNT, 0x11, {3, 4, 2, 0x2B, 0, 0}, 6, 6, 4},
        {EV_MODBUS_COUNT, 0x11, {3, 8, 2, 0x2B, 0, 0, 0, 0x64, 0, 0}, 10, 6, 8},
        {EV_MODBUS_COUNT, 0x11, {3, 5, 2, 0x2B, 0, 0, 0}, 7, 6, 5},
        {EV_MODBUS_LENGTH, 0x11, {3, 6, 2, 0x2B, 0, 0, 0, 0x64, 0}, 9, 8, 9},
        {EV_MODBUS_LENGTH, 0x11, {3, 6, 2, 0x2B, 0, 0, 0}, 7, 8, 7},
        {EV_MODBUS_LENGTH, 0x11, {0x83, 2, 0}, 3, 2, 3},
        {EV_MODBUS_REFUSED, 0x11, {0x83, 2}, 2, 0, 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const size_t len = ev_modbus_rtu_frame(frame, wrong[i].unit, wrong[i].pdu, wrong[i].len);
        CHECK(ev_modbus_rtu_check(frame, len, &want, &reply) == wrong[i].status);
        CHECK(reply.expected == wrong[i].expected && reply.got == wrong[i].got);
    }
    memcpy(frame, read_reply, sizeof read_reply);
    frame[4] ^= 1;
    CHECK(ev_modbus_rtu_check(frame, sizeof read_reply, &want, &reply) == EV_MODBUS_CRC && reply.got == 0xBAC8);
    CHECK(ev_modbus_rtu_check(frame, 4, &want, &reply) == EV_MODBUS_LENGTH);
    CHECK(ev_modbus_rtu_check(NULL, 0, &want, &reply) == EV_MODBUS_LENGTH);

    CHECK(ev_modbus_want_of(examples[5].request, 5, 0x11, &write));
    const uint8_t echo[] = {6, 0, 1, 0, 4};
    const size_t len = ev_modbus_rtu_frame(frame, 0x11, echo, sizeof echo);
    CHECK(ev_modbus_rtu_check(frame, len, &write, &reply) == EV_MODBUS_ECHO && reply.at == 2 && reply.len == 4);
}

/* Replies of the functions whose length the request does not tell; `expect` as ev_modbus_rtu_check is to say. */
static void replies_that_tell_their_own_length_are_held_against_the_request(void) {
    static const struct {
        uint8_t request[16], request_len, reply[16], reply_len;
        ev_modbus_status expect;
    } cases[] = {
        {{20, 7, 6, 0, 4, 0, 1, 0, 1}, 9, {20, 4, 3, 6, 0x0D, 0xFE}, 6, EV_MODBUS_OK},
        {{20, 7, 6, 0, 4, 0, 1, 0, 1}, 9, {20, 4, 5, 6, 0x0D, 0xFE}, 6, EV_MODBUS_COUNT},
        {{20, 7, 6, 0, 4, 0, 1, 0, 1}, 9, {20, 4, 3, 7, 0x0D, 0xFE}, 6, EV_MODBUS_CONTENT},
        {{20, 7, 6, 0, 4, 0, 1, 0, 1}, 9, {20, 6, 5, 6, 1, 2, 3, 4}, 8, EV_MODBUS_COUNT},
        {{24, 0, 1}, 3, {24, 0, 2, 0, 0}, 5, EV_MODBUS_OK},
        {{24, 0, 1}, 3, {24, 0, 4, 0, 2, 0, 0}, 7, EV_MODBUS_COUNT},
        {{24, 0, 1}, 3, {24, 0, 66, 0, 32}, 5, EV_MODBUS_COUNT},
        {{12}, 1, {12, 5, 0, 0, 0, 0, 0}, 7, EV_MODBUS_COUNT},
        {{12}, 1, {12, 7, 0, 0, 0, 0, 0, 0}, 8, EV_MODBUS_LENGTH},
        {{17}, 1, {17, 0}, 2, EV_MODBUS_COUNT},
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0, 0, 2, 0, 1, 'a', 1, 0}, 12, EV_MODBUS_OK},
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0, 0, 2, 0, 1, 'a', 1, 0, 0}, 13, EV_MODBUS_LENGTH},
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0, 0, 2, 1, 1, 'a', 0, 0}, 12, EV_MODBUS_CONTENT}, /* order */
        {{43, 14, 1, 0}, 4, {43, 14, 2, 1, 0, 0, 1, 0, 1, 'a'}, 10, EV_MODBUS_CONTENT},       /* level */
        {{43, 14, 1, 0}, 4, {43, 14, 1, 4, 0, 0, 1, 0, 1, 'a'}, 10, EV_MODBUS_CONTENT},       /* conformity */
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0, 0, 1, 3, 1, 'a'}, 10, EV_MODBUS_CONTENT},       /* not basic */
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0, 0, 0}, 7, EV_MODBUS_COUNT},
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0xFF, 0, 1, 0, 1, 'a'}, 10, EV_MODBUS_CONTENT}, /* goes on where it was */
        {{43, 14, 1, 0}, 4, {43, 14, 1, 1, 0xFF, 1, 1, 0, 1, 'a'}, 10, EV_MODBUS_OK},
        {{43, 14, 3, 128}, 4, {43, 14, 3, 3, 0, 0, 1, 0, 1, 'a'}, 10, EV_MODBUS_OK}, /* no such object: from 0 */
        {{43, 14, 4, 128}, 4, {43, 14, 4, 0x83, 0, 0, 1, 128, 1, 'a'}, 10, EV_MODBUS_OK},
        {{43, 14, 4, 128}, 4, {43, 14, 4, 0x83, 0, 0, 1, 129, 1, 'a'}, 10, EV_MODBUS_CONTENT},
        {{43, 14, 1, 0}, 4, {43 | 0x80, 1}, 2, EV_MODBUS_REFUSED},
        {{8, 0, 11, 0, 0}, 5, {8, 0, 12, 0, 0}, 5, EV_MODBUS_ECHO},
        {{8, 0, 0, 1, 2}, 5, {8, 0, 0, 1, 3}, 5, EV_MODBUS_ECHO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ev_modbus_want want;
        ev_modbus_reply reply;
        uint8_t frame[EV_MODBUS_RTU_MAX];
        CHECK(ev_modbus_want_of(cases[i].request, cases[i].request_len, 5, &want));
        const size_t len = ev_modbus_rtu_frame(frame, 5, cases[i].reply, cases[i].reply_len);
        CHECK(ev_modbus_rtu_check(frame, len, &want, &reply) == cases[i].expect);
        CHECK(cases[i].expect > EV_MODBUS_REFUSED ||
              ev_modbus_rtu_find(frame, len, &want, false, &reply) == cases[i].expect);
    }
}

static void custom_functions_have_one_of_three_replies(void) {
    static const uint8_t pdu[] = {65, 1, 2, 3};
    ev_modbus_want want;
    ev_modbus_reply reply;
    uint8_t frame[EV_MODBUS_RTU_MAX];
    CHECK(!ev_modbus_want_of(pdu, 4, 1, &want));
    CHECK(ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_COUNTED_AT, false, 1, &want));
    const size_t len = ev_modbus_rtu_frame(frame, 1, (const uint8_t *)"\x41\x09\x02\xAA\xBB", 5);
    CHECK(ev_modbus_rtu_check(frame, len, &want, &reply) == EV_MODBUS_OK && reply.at == 2 && reply.len == 4);
    CHECK(ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_FIXED, true, 3, &want) && want.echo_len == 3);
    CHECK(!ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_FIXED, true, 4, &want));
    CHECK(!ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_FIXED, false, 0, &want));
    CHECK(!ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_FIXED, false, 253, &want));
    CHECK(!ev_modbus_want_custom(pdu, 4, 1, EV_MODBUS_FIFO, false, 1, &want));
    for (unsigned code = 0; code < 256; code++) {
        const uint8_t one_byte = (uint8_t)code;
        const bool free = code >= 1 && code <= 127 && !ev_modbus_is_standard(one_byte);
        CHECK(ev_modbus_want_custom(&one_byte, 1, 1, EV_MODBUS_FIXED, false, 1, &want) == free);
    }
}

static void the_length_of_the_mbap_header_is_the_only_boundary(void) {
    uint8_t adu[] = {0, 7, 0, 0, 0, 9, 0x11, 3, 6, 2, 0x2B, 0, 0, 0, 0x64};
    ev_modbus_want want;
    ev_modbus_reply reply;
    size_t size;
    CHECK(ev_modbus_want_of(good_pdu, 5, 0x11, &want));
    CHECK(ev_modbus_tcp_check(adu, sizeof adu, &want, 7, &reply) == EV_MODBUS_OK);
    CHECK(reply.at == 9 && reply.len == 6 && reply.end == sizeof adu);
    for (size_t len = 0; len < sizeof adu; len++)
        CHECK(ev_modbus_tcp_size(adu, len, &size) == EV_MODBUS_MORE && (len < 6 ? size == 0 : size == sizeof adu));
    CHECK(ev_modbus_tcp_size(adu, sizeof adu, &size) == EV_MODBUS_OK && size == sizeof adu);
    adu[5] = 8; /* the header claims one byte less than the PDU needs */
    CHECK(ev_modbus_tcp_check(adu, sizeof adu, &want, 7, &reply) == EV_MODBUS_LENGTH);
    CHECK(ev_modbus_tcp_check(adu, sizeof adu - 1, &want, 7, &reply) == EV_MODBUS_LENGTH);
    CHECK(reply.expected == 8 && reply.got == 7);
    adu[5] = 1;
    CHECK(ev_modbus_tcp_size(adu, sizeof adu, &size) == EV_MODBUS_LENGTH);
    adu[4] = 1, adu[5] = 0;
    CHECK(ev_modbus_tcp_size(adu, sizeof adu, &size) == EV_MODBUS_LENGTH);
    adu[3] = 1;
    CHECK(ev_modbus_tcp_size(adu, 4, &size) == EV_MODBUS_PROTOCOL);
    CHECK(ev_modbus_tcp_check(adu, sizeof adu, &want, 7, &reply) == EV_MODBUS_PROTOCOL);
    CHECK(ev_modbus_tcp_check(adu, 8, &want, 7, &reply) == EV_MODBUS_LENGTH);
}

static void noise_around_a_reply_loses_nothing(void) {
    static const uint8_t noise[] = {0x11, 0x03, 0x06, 0x11, 0x00, 0xFF, 0x11, 0x83, 0x11, 0x11};
    ev_modbus_want want;
    ev_modbus_reply reply;
    CHECK(ev_modbus_want_of(good_pdu, 5, 0x11, &want));
    for (size_t before = 0; before <= sizeof noise; before++) {
        uint8_t data[64];
        memcpy(data, noise, before);
        memcpy(data + before, read_reply, sizeof read_reply);
        memcpy(data + before + sizeof read_reply, noise, sizeof noise);
        const size_t whole = before + sizeof read_reply;
        CHECK(ev_modbus_rtu_find(data, whole + sizeof noise, &want, false, &reply) == EV_MODBUS_OK);
        CHECK(reply.at == before + 3 && reply.len == 6 && reply.end == whole);
        size_t dropped = 0; /* byte by byte, dropping what may be dropped */
        for (size_t len = 1; len < whole; len++) {
            CHECK(ev_modbus_rtu_find(data + dropped, len - dropped, &want, false, &reply) == EV_MODBUS_MORE);
            dropped += reply.at;
            CHECK(dropped <= before);
        }
        CHECK(ev_modbus_rtu_find(data + dropped, whole - dropped, &want, false, &reply) == EV_MODBUS_OK);
    }
    /* A refusal behind half a header: found at once when nothing more will come, waited for before. */
    uint8_t data[3 + sizeof refusal];
    memcpy(data, noise, 3);
    memcpy(data + 3, refusal, sizeof refusal);
    CHECK(ev_modbus_rtu_find(data, sizeof data, &want, false, &reply) == EV_MODBUS_MORE && reply.at == 0);
    CHECK(ev_modbus_rtu_find(data, sizeof data, &want, true, &reply) == EV_MODBUS_REFUSED);
    CHECK(reply.got == 2 && reply.end == sizeof data);
    CHECK(ev_modbus_rtu_find(NULL, 0, &want, true, &reply) == EV_MODBUS_MORE && reply.at == 0);
}

static ev_modbus_value one(const uint8_t *registers, ev_modbus_type type, uint16_t words, unsigned flags) {
    const ev_modbus_point point = {.words = words, .type = (uint8_t)type, .flags = (uint8_t)flags};
    ev_modbus_value value = {.kind = 99};
    CHECK(ev_modbus_decode(registers, 2u * words, &point, 1, &value));
    return value;
}

static void every_type_in_every_order(void) {
    /* -2, 0x01020304, pi as float32 (0x40490FDB), -2.5 as float64 (0xC004000000000000) */
    const uint8_t minus2[] = {0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    CHECK(one(minus2, EV_MODBUS_INT16, 1, 0).as.i == -2);
    CHECK(one(minus2, EV_MODBUS_UINT16, 1, 0).as.u == 65534);
    CHECK(one(minus2, EV_MODBUS_INT32, 2, EV_MODBUS_WORDS_LITTLE).as.i == -2);
    CHECK(one(minus2, EV_MODBUS_INT64, 4, EV_MODBUS_WORDS_LITTLE).as.i == -2);
    CHECK(one(minus2, EV_MODBUS_UINT64, 4, 0).as.u == 0xFFFEFFFFFFFFFFFF);
    const uint8_t lowest[] = {0x80, 0, 0, 0, 0, 0, 0, 0};
    CHECK(one(lowest, EV_MODBUS_INT64, 4, 0).as.i == INT64_MIN);
    CHECK(one(lowest, EV_MODBUS_INT16, 1, 0).as.i == -32768);
    CHECK(one(lowest, EV_MODBUS_INT16, 1, EV_MODBUS_BYTES_LITTLE).as.i == 128);

    const uint8_t abcd[] = {1, 2, 3, 4}, cdab[] = {3, 4, 1, 2}, badc[] = {2, 1, 4, 3}, dcba[] = {4, 3, 2, 1};
    const unsigned both = EV_MODBUS_WORDS_LITTLE | EV_MODBUS_BYTES_LITTLE;
    CHECK(one(abcd, EV_MODBUS_UINT32, 2, 0).as.u == 0x01020304);
    CHECK(one(cdab, EV_MODBUS_UINT32, 2, EV_MODBUS_WORDS_LITTLE).as.u == 0x01020304);
    CHECK(one(badc, EV_MODBUS_UINT32, 2, EV_MODBUS_BYTES_LITTLE).as.u == 0x01020304);
    CHECK(one(dcba, EV_MODBUS_INT32, 2, both).as.i == 0x01020304);

    const uint8_t pi[] = {0x40, 0x49, 0x0F, 0xDB}, ip[] = {0xDB, 0x0F, 0x49, 0x40};
    CHECK(fabs(one(pi, EV_MODBUS_FLOAT32, 2, 0).as.f - 3.14159274101257324) < 1e-15);
    CHECK(fabs(one(ip, EV_MODBUS_FLOAT32, 2, both).as.f - 3.14159274101257324) < 1e-15);
    const uint8_t wide[] = {0xC0, 0x04, 0, 0, 0, 0, 0, 0}, narrow[] = {0, 0, 0, 0, 0, 0, 0x04, 0xC0};
    CHECK(one(wide, EV_MODBUS_FLOAT64, 4, 0).as.f == -2.5);
    CHECK(one(narrow, EV_MODBUS_FLOAT64, 4, both).as.f == -2.5);
    const uint8_t nan32[] = {0x7F, 0xC0, 0, 0}, inf32[] = {0xFF, 0x80, 0, 0};
    CHECK(one(nan32, EV_MODBUS_FLOAT32, 2, 0).kind == EV_MODBUS_NONE);
    CHECK(one(inf32, EV_MODBUS_FLOAT32, 2, 0).kind == EV_MODBUS_NONE);
}

static void points_are_scaled_and_sentinels_are_missing(void) {
    const uint8_t registers[] = {0x00, 0x00, 0x08, 0xFD, 0xFF, 0xFF, 'E', 'M', '3', '4', '0', 0, ' ', 0, 0x00, 0xA5};
    ev_modbus_point points[] = {
        {.offset = 0, .words = 2, .type = EV_MODBUS_INT32, .flags = EV_MODBUS_SCALED, .multiply = 1, .divide = 10},
        {.offset = 2, .words = 1, .type = EV_MODBUS_UINT16, .flags = EV_MODBUS_MISSING, .missing = 0xFFFF},
        {.offset = 3, .words = 4, .type = EV_MODBUS_STRING},
        {.offset = 7, .words = 1, .type = EV_MODBUS_BITS, .bit = 4, .width = 4},
        {.offset = 7, .words = 1, .type = EV_MODBUS_BITS, .bit = 1, .width = 1},
    };
    ev_modbus_value out[5];
    char text[8];
    CHECK(ev_modbus_reach(points, 5) == sizeof registers);
    CHECK(!ev_modbus_decode(registers, sizeof registers - 1, points, 5, out));
    CHECK(ev_modbus_decode(registers, sizeof registers, points, 5, out));
    CHECK(out[0].kind == EV_MODBUS_REAL && out[0].as.f == 230.1); /* 2301 / 10, the double nearest to 230.1 */
    CHECK(out[1].kind == EV_MODBUS_NONE);
    CHECK(out[2].kind == EV_MODBUS_TEXT && ev_modbus_text(registers, &points[2], text) == 5);
    CHECK(memcmp(text, "EM340", 5) == 0);
    CHECK(out[3].kind == EV_MODBUS_UNSIGNED && out[3].as.u == 0xA);
    CHECK(out[4].kind == EV_MODBUS_FLAG && out[4].as.u == 0);
    points[2].flags = EV_MODBUS_BYTES_LITTLE;
    CHECK(ev_modbus_text(registers, &points[2], text) == 6 && memcmp(text, "ME43\0000", 6) == 0);
    points[0].multiply = 1e308;
    points[0].divide = 1e-10;
    CHECK(ev_modbus_decode(registers, sizeof registers, points, 1, out) && out[0].kind == EV_MODBUS_NONE);
    CHECK(ev_modbus_decode(NULL, 0, points, 0, out));
}

static void halves_digits_and_scales_held_in_registers(void) {
    /* IEEE 754 binary16, from its definition: 1.5, the smallest subnormal, the largest number, infinity, NaN */
    const uint8_t one_and_half[] = {0x3E, 0x00}, least[] = {0x80, 0x01}, most[] = {0x7B, 0xFF};
    const uint8_t infinite[] = {0xFC, 0x00}, none[] = {0x7E, 0x00};
    CHECK(one(one_and_half, EV_MODBUS_FLOAT16, 1, 0).as.f == 1.5);
    CHECK(one(least, EV_MODBUS_FLOAT16, 1, 0).as.f == -1.0 / 16777216);
    CHECK(one(most, EV_MODBUS_FLOAT16, 1, 0).as.f == 65504);
    CHECK(one(infinite, EV_MODBUS_FLOAT16, 1, 0).kind == EV_MODBUS_NONE);
    CHECK(one(none, EV_MODBUS_FLOAT16, 1, 0).kind == EV_MODBUS_NONE);
    const uint8_t digits[] = {0x98, 0x76, 0x54, 0x32, 0x10, 0x12, 0x34, 0x56}, wrong[] = {0x98, 0x7A};
    CHECK(one(digits, EV_MODBUS_BCD16, 1, 0).as.u == 9876);
    CHECK(one(digits, EV_MODBUS_BCD32, 2, EV_MODBUS_WORDS_LITTLE).as.u == 54329876);
    CHECK(one(digits, EV_MODBUS_BCD64, 4, 0).as.u == 9876543210123456);
    CHECK(one(wrong, EV_MODBUS_BCD16, 1, 0).kind == EV_MODBUS_NONE);

    uint8_t registers[] = {0x00, 0x17, 0xFF, 0xFE};
    const ev_modbus_point points[] = {
        {.words = 1, .type = EV_MODBUS_UINT16, .flags = EV_MODBUS_SCALE_AT, .scale_at = 1, .multiply = 1, .divide = 1},
        {.words = 2, .type = EV_MODBUS_STRING_LOW},
        {.words = 1, .type = EV_MODBUS_UINT16, .flags = EV_MODBUS_MISSING, .missing = 0x17},
    };
    ev_modbus_value out;
    CHECK(ev_modbus_reach(points, 1) == 4 && !ev_modbus_decode(registers, 2, points, 1, &out));
    CHECK(ev_modbus_decode(registers, 4, points, 1, &out) && out.kind == EV_MODBUS_REAL && out.as.f == 0.23);
    registers[3] = 0xF5; /* 10^-11 */
    CHECK(ev_modbus_decode(registers, 4, points, 1, &out) && out.kind == EV_MODBUS_NONE);
    registers[2] = 0, registers[3] = 2;
    unsigned char room[1 + 3 * sizeof(double)]; /* of any alignment */
    uint8_t valid[3];
    double number;
    CHECK(ev_modbus_decode_doubles(registers, 4, points, 3, room + 1, valid));
    memcpy(&number, room + 1, sizeof number);
    CHECK(number == 2300 && valid[0] == 1 && valid[1] == 0 && valid[2] == 0);
    memcpy(&number, room + 1 + 2 * sizeof number, sizeof number);
    CHECK(isnan(number));
    CHECK(!ev_modbus_decode_doubles(registers, 3, points, 3, room, valid));
    char text[4];
    CHECK(ev_modbus_text(registers, &points[1], text) == 2 && memcmp(text, "\x17\x02", 2) == 0);
}

int main(void) {
    every_example_is_expected_as_the_specification_answers_it();
    requests_are_built_as_in_the_specification();
    requests_beyond_the_limits_raise_no_expectation();
    each_wrong_reply_is_named();
    replies_that_tell_their_own_length_are_held_against_the_request();
    custom_functions_have_one_of_three_replies();
    the_length_of_the_mbap_header_is_the_only_boundary();
    noise_around_a_reply_loses_nothing();
    every_type_in_every_order();
    points_are_scaled_and_sentinels_are_missing();
    halves_digits_and_scales_held_in_registers();
    CHECK_DONE();
}
