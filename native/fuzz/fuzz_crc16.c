/* Every variant of the CRC gives what shifting bit by bit gives, from any start value, whole and in two parts.
 * Input: start value (2), where to part (2), then the message. */
#include "evcore/crc16.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t bit_by_bit(uint16_t crc, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ data[i]);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    return crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const variants[] = {"portable", "pclmul"};
    if (size < 4) return 0;
    const uint16_t start = (uint16_t)(data[0] | data[1] << 8);
    const size_t len = size - 4, part = (size_t)(data[2] | data[3] << 8) % (len + 1);
    const uint16_t expected = bit_by_bit(start, data + 4, len);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        if (!ev_crc16_use(variants[i])) continue;
        if (ev_crc16_update(start, data + 4, len) != expected) abort();
        if (ev_crc16_update(ev_crc16_update(start, data + 4, part), data + 4 + part, len - part) != expected) abort();
        if (start == EV_CRC16_INIT && ev_crc16(data + 4, len) != expected) abort();
    }
    return 0;
}
