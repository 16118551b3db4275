#include "check.h"
#include "evcore/crc16.h"
#include <string.h>

/* Bit by bit, straight from the definition: the twin that the tables are held against. */
static uint16_t bitwise(const uint8_t *data, size_t len) {
    uint16_t crc = EV_CRC16_INIT;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ data[i]);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 1u) ? (crc >> 1) ^ 0xA001u : crc >> 1);
    }
    return crc;
}

static void every_length_is_as_bit_by_bit(void) {
    const uint8_t digits[] = "123456789"; /* check value of the CRC catalogue */
    CHECK(ev_crc16(digits, 9) == 0x4B37);
    CHECK(ev_crc16(NULL, 0) == EV_CRC16_INIT);

    uint8_t data[700];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    for (size_t len = 0; len <= sizeof data; len++) {
        CHECK(ev_crc16(data, len) == bitwise(data, len));
        const uint16_t first = ev_crc16(data, len / 3);
        CHECK(ev_crc16_update(first, data + len / 3, len - len / 3) == bitwise(data, len));
    }
}

int main(void) {
    CHECK(strcmp(ev_crc16_variant(), "portable") == 0);
    every_length_is_as_bit_by_bit();
    CHECK(ev_crc16_use(NULL));
    every_length_is_as_bit_by_bit();
    printf("best variant here: %s\n", ev_crc16_variant());
    CHECK(!ev_crc16_use("quantum"));
    CHECK(ev_crc16_use("portable") && strcmp(ev_crc16_variant(), "portable") == 0);
    CHECK_DONE();
}
