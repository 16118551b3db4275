/* CRC-16/MODBUS by carry-less multiplication: 128 bits of the message are folded forward onto the next, four at a time,
 * until 16 bytes are left that have the same remainder; those go through the tables.
 * Source: Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, Intel white paper 323102, for the
 * bit-reflected case: a constant for folding over n bits is x^(n-1) mod P, reflected in 64 bits, as the product of two
 * reflected numbers comes out one bit low. */
#include "crc16_variants.h"

#if EV_CRC16_HAS_CLMUL
#include <immintrin.h>

#define CLMUL __attribute__((target("pclmul,sse2")))

bool ev_crc16_clmul_works(void) {
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse2");
}

/* x moved forward over the distance of `by`, onto `next`. The first eight bytes are the higher powers: they go 64 bits
 * further. */
CLMUL static inline __m128i fold(__m128i x, __m128i by, __m128i next) {
    return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)));
}

CLMUL static inline __m128i load(const uint8_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

CLMUL uint16_t ev_crc16_clmul(uint16_t crc, const uint8_t *data, size_t len) {
    if (len < 80) return ev_crc16_portable(crc, data, len); /* the tables are as fast up to here */
    /* high half: x^127, x^511 mod P; low half: x^191, x^575 mod P */
    const __m128i by128 = _mm_set_epi64x((long long)0xC100000000000000u, (long long)0xCCD0000000000000u);
    const __m128i by512 = _mm_set_epi64x((long long)0x8101000000000000u, (long long)0xC450000000000000u);
    __m128i x = _mm_xor_si128(load(data), _mm_cvtsi32_si128(crc));
    if (len >= 128) {
        __m128i y = load(data + 16), z = load(data + 32), w = load(data + 48);
        for (data += 64, len -= 64; len >= 64; data += 64, len -= 64) {
            x = fold(x, by512, load(data));
            y = fold(y, by512, load(data + 16));
            z = fold(z, by512, load(data + 32));
            w = fold(w, by512, load(data + 48));
        }
        x = fold(fold(fold(x, by128, y), by128, z), by128, w);
    } else {
        data += 16;
        len -= 16;
    }
    for (; len >= 16; data += 16, len -= 16)
        x = fold(x, by128, load(data));
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)(void *)rest, x);
    return ev_crc16_portable(ev_crc16_portable(0, rest, sizeof rest), data, len);
}

#else

bool ev_crc16_clmul_works(void) {
    return false;
}

uint16_t ev_crc16_clmul(uint16_t crc, const uint8_t *data, size_t len) {
    return ev_crc16_portable(crc, data, len);
}

#endif
