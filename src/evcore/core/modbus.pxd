"""The C side of modbus.pyx: see native/include/evcore/{crc16,modbus}.h."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "evcore/crc16.h" nogil:
    uint16_t ev_crc16(const uint8_t *data, size_t len)
    bint ev_crc16_use(const char *variant)
    const char *ev_crc16_variant()


cdef extern from "evcore/modbus.h" nogil:
    ctypedef enum ev_modbus_status:
        EV_MODBUS_OK
        EV_MODBUS_MORE
        EV_MODBUS_REFUSED
        EV_MODBUS_ECHO
        EV_MODBUS_PROTOCOL
    ctypedef enum ev_modbus_shape:
        EV_MODBUS_FIXED
        EV_MODBUS_COUNTED_AT
    ctypedef struct ev_modbus_want:
        const uint8_t *pdu
        uint8_t unit, function, shape, echo_len, at, least, most
    ctypedef struct ev_modbus_reply:
        size_t at, len, end
        uint32_t expected, got
    ctypedef struct ev_modbus_point:
        uint16_t offset, words
        uint8_t type, flags, bit, width
        uint16_t scale_at
        uint64_t missing
        double multiply, divide, add
    ctypedef enum ev_modbus_kind:
        EV_MODBUS_NONE
        EV_MODBUS_SIGNED
        EV_MODBUS_UNSIGNED
        EV_MODBUS_REAL
        EV_MODBUS_TEXT
        EV_MODBUS_FLAG
    ctypedef union ev_modbus_number:
        int64_t i
        uint64_t u
        double f
    ctypedef struct ev_modbus_value:
        ev_modbus_number as_ "as"
        uint8_t kind
    enum:
        EV_MODBUS_PDU_MAX
        EV_MODBUS_RTU_MAX
        EV_MODBUS_TCP_MAX
        EV_MODBUS_WORDS_LITTLE
        EV_MODBUS_BYTES_LITTLE
        EV_MODBUS_MISSING
        EV_MODBUS_SCALED
        EV_MODBUS_SCALE_AT
    bint ev_modbus_want_of(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_want *want)
    bint ev_modbus_want_custom(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_shape shape, bint echo, size_t n,
                               ev_modbus_want *want)
    bint ev_modbus_is_standard(uint8_t function)
    size_t ev_modbus_reply_max(const ev_modbus_want *want)
    size_t ev_modbus_reply_around(const ev_modbus_want *want)
    size_t ev_modbus_pdu_short(uint8_t *out, uint8_t function, uint16_t address, uint16_t count_or_value)
    size_t ev_modbus_pdu_registers(uint8_t *out, uint16_t address, const uint16_t *values, size_t count)
    size_t ev_modbus_pdu_coils(uint8_t *out, uint16_t address, const uint16_t *values, size_t count)
    size_t ev_modbus_rtu_frame(uint8_t *out, uint8_t unit, const uint8_t *pdu, size_t len)
    size_t ev_modbus_tcp_frame(uint8_t *out, uint16_t transaction, uint8_t unit, const uint8_t *pdu, size_t len)
    ev_modbus_status ev_modbus_rtu_check(const uint8_t *adu, size_t len, const ev_modbus_want *want,
                                         ev_modbus_reply *reply)
    ev_modbus_status ev_modbus_tcp_check(const uint8_t *adu, size_t len, const ev_modbus_want *want,
                                         uint16_t transaction, ev_modbus_reply *reply)
    ev_modbus_status ev_modbus_rtu_find(const uint8_t *data, size_t len, const ev_modbus_want *want, bint last,
                                        ev_modbus_reply *reply)
    ev_modbus_status ev_modbus_tcp_size(const uint8_t *data, size_t len, size_t *size)
    size_t ev_modbus_reach(const ev_modbus_point *points, size_t count)
    bint ev_modbus_decode(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                          ev_modbus_value *out)
    bint ev_modbus_decode_doubles(const uint8_t *registers, size_t len, const ev_modbus_point *points, size_t count,
                                  void *out, uint8_t *valid)
    size_t ev_modbus_text(const uint8_t *registers, const ev_modbus_point *point, char *out)
