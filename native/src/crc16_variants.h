/* The variants of crc16.c by CPU. Each takes and gives what ev_crc16_update does. */
#ifndef EVCORE_CRC16_VARIANTS_H
#define EVCORE_CRC16_VARIANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define EV_CRC16_HAS_CLMUL 1
#else
#define EV_CRC16_HAS_CLMUL 0
#endif

uint16_t ev_crc16_portable(uint16_t crc, const uint8_t *data, size_t len);

/* x86 with PCLMULQDQ; to be called only where ev_crc16_clmul_works(). */
uint16_t ev_crc16_clmul(uint16_t crc, const uint8_t *data, size_t len);
bool ev_crc16_clmul_works(void);

#endif
