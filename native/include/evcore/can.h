/* Signals of a CAN frame: a message is compiled once into a plan, then decoded by it frame after frame.
 * The caller owns the plan, the data and the results; nothing is allocated, no state is kept, so one plan may serve any
 * number of threads. Bit numbers are those of DBC files: bit b is bit b % 8 (0 = least significant) of byte b / 8.
 * Source: Vector DBC File Format Documentation 1.0.5, 8.9 (signals), 8.9 and 13 (multiplexing). */
#ifndef EVCORE_CAN_H
#define EVCORE_CAN_H

#include <stddef.h>
#include <stdint.h>

#define EV_CAN_BYTES_MAX 4096u /* of a payload: CAN FD 64, CAN XL 2048, J1939 transport 1785 */
#define EV_CAN_NO_SELECTOR (-1)

typedef enum { EV_CAN_UNSIGNED, EV_CAN_SIGNED, EV_CAN_FLOAT32, EV_CAN_FLOAT64 } ev_can_kind;
typedef enum { EV_CAN_LITTLE, EV_CAN_BIG } ev_can_order;

typedef enum {
    EV_CAN_OK,
    EV_CAN_BAD_BITS,  /* a signal has 1..64 bits, a float 32 or 64 by its kind */
    EV_CAN_BAD_PLACE, /* it ends after EV_CAN_BYTES_MAX */
    EV_CAN_SHORT,     /* *at = bytes that were needed */
    EV_CAN_SELECTOR   /* *at = index of the multiplexer whose value selects nothing */
} ev_can_status;

/* Values of a multiplexer, both ends included. */
typedef struct {
    int64_t low, high;
} ev_can_range;

/* One signal, made by ev_can_signal_init; then the caller may set what follows `shift`. */
typedef struct {
    uint16_t first; /* byte in which it begins */
    uint16_t need;  /* bytes that a frame must have to hold it */
    uint8_t bits, kind, order;
    uint8_t shift; /* little: of its lowest bit in byte `first`; big: of its lowest bit in byte `need - 1` */

    int32_t selector;             /* index of its multiplexer, which must stand before it, or EV_CAN_NO_SELECTOR */
    uint32_t ranges, range_count; /* where its multiplexer has one of these values: plan->ranges[ranges..], ascending */
    uint32_t known, known_count;  /* of a multiplexer: values that select something; known_count 0: it is none */
    double factor, offset;        /* physical = raw * factor + offset */
} ev_can_signal;

typedef struct {
    const ev_can_signal *signals;
    const ev_can_range *ranges;
    uint32_t count;
    uint32_t length; /* bytes of a whole frame: a shorter one is EV_CAN_SHORT; 0: what it holds is decoded */
} ev_can_plan;

/* start: the DBC start bit: of the lowest bit (little) or of the highest bit (big). Factor 1, offset 0, no multiplexer.
 * Returns EV_CAN_OK, EV_CAN_BAD_BITS or EV_CAN_BAD_PLACE. */
ev_can_status ev_can_signal_init(ev_can_signal *signal, uint32_t start, uint32_t bits, ev_can_order order,
                                 ev_can_kind kind);

/* Reads data[0..len); data may be NULL if len is 0. Writes raw[i] and valid[i] (0 or 1) for each of plan->count
 * signals: unsigned as it is, signed sign-extended to 64 bits, floats as the bits of a double. Not valid: outside a
 * short frame, or not selected by its multiplexer. After EV_CAN_SHORT and EV_CAN_SELECTOR raw and valid mean nothing.
 */
ev_can_status ev_can_decode(const ev_can_plan *plan, const uint8_t *data, size_t len, uint64_t *raw, uint8_t *valid,
                            size_t *at);

/* raw * factor + offset, rounded after each step, as Python rounds it. */
double ev_can_physical(const ev_can_signal *signal, uint64_t raw);

#endif
