/* CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF, no final xor. Sent low byte first.
 * Source: MODBUS over Serial Line, Specification and Implementation Guide V1.02, 2.5.1.2 and appendix B.
 * Thread-safe, but for ev_crc16_use. */
#ifndef EVCORE_CRC16_H
#define EVCORE_CRC16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EV_CRC16_INIT 0xFFFFu

/* The CRC of data[0..len). data may be NULL if len is 0. */
uint16_t ev_crc16(const uint8_t *data, size_t len);

/* Goes on from `crc`, the value after the bytes before; EV_CRC16_INIT to begin. data as for ev_crc16. */
uint16_t ev_crc16_update(uint16_t crc, const uint8_t *data, size_t len);

/* Choose the variant: NULL or "" for the best that this CPU has, "portable", "pclmul" (x86). false: unknown, or the CPU
 * has it not; the choice stays. Portable until it is called. Call it once, before threads. */
bool ev_crc16_use(const char *variant);
const char *ev_crc16_variant(void);

#endif
