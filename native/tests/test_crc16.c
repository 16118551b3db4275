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

int main(void) {
    const uint8_t digits[] = "123456789"; /* check value of the CRC catalogue */
    CHECK(ev_crc16(digits, 9) == 0x4B37);
    CHECK(ev_crc16(NULL, 0) == EV_CRC16_INIT);

    uint8_t data[300];
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
    CHECK_DONE();
}
