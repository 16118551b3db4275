# cython: language_level=3, embedsignature=True, binding=False, boundscheck=False, wraparound=False
"""Modbus, the seam: bytes in, Python objects out. The contract is native/include/evcore/{crc16,modbus}.h."""

import os
from fractions import Fraction
from typing import NamedTuple

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLong, PyLong_FromLongLong, PyLong_FromUnsignedLongLong
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from evcore.errors import FrameError, InvalidReply, ModbusException


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
    ctypedef struct ev_modbus_want:
        uint8_t unit, function, count, echo_len
        uint8_t echo[6]
    ctypedef struct ev_modbus_reply:
        size_t at, len, end
        uint32_t expected, got
    ctypedef struct ev_modbus_point:
        uint16_t offset, words
        uint8_t type, flags, bit, width
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
    bint ev_modbus_want_of(const uint8_t *pdu, size_t len, uint8_t unit, ev_modbus_want *want)
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
    size_t ev_modbus_text(const uint8_t *registers, const ev_modbus_point *point, char *out)


# In the order of ev_modbus_status and ev_modbus_type.
cdef tuple REASONS = ("", "", "", "length", "crc", "unit", "function", "count", "echo", "transaction", "protocol")
TYPES = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bits")
Value = int | float | str | bool | None  # what a point decodes to
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
cdef tuple WORDS = (1, 1, 2, 2, 4, 4, 2, 4, 0, 1)


def use_cpu(str variant=""):
    """Choose the variant of the CRC: "" for the best that this CPU has, or one by name; False if there is none of it."""
    return ev_crc16_use(variant.encode())


def cpu():
    """The variant in use: "portable", or the CPU feature that it needs."""
    return ev_crc16_variant().decode()


# Another part's variant may be forced by a name that means nothing here.
if not use_cpu(os.environ.get("EVCORE_CPU", "")):
    use_cpu()


def crc16(data):
    """Return the CRC-16/MODBUS of `data`.

    data: bytes-like. Result: 0..65535; a frame carries it low byte first.
    Raises TypeError (not bytes-like).
    Source: MODBUS over Serial Line V1.02, 2.5.1.2.
    """
    cdef Py_buffer view
    if type(data) is bytes:
        return ev_crc16(<const uint8_t *>PyBytes_AS_STRING(data), <size_t>len(<bytes>data))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return ev_crc16(<const uint8_t *>view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)


cdef list registers_from(const uint8_t *data, size_t count):
    cdef list result = PyList_New(<Py_ssize_t>count)
    cdef object value
    cdef size_t i
    for i in range(count):
        value = PyLong_FromLong((data[2 * i] << 8) | data[2 * i + 1])
        Py_INCREF(value)
        PyList_SET_ITEM(result, <Py_ssize_t>i, value)
    return result


cdef list bits_from(const uint8_t *data, size_t count):
    cdef size_t i
    return [bool(data[i // 8] >> (i % 8) & 1) for i in range(count)]


def unpack_registers(data):
    """Register bytes, big-endian as on the wire, to a list of int 0..65535. Raises ValueError (odd length)."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len % 2:
            raise ValueError(f"registers: expected an even number of bytes, got {view.len}")
        return registers_from(<const uint8_t *>view.buf, <size_t>view.len // 2)
    finally:
        PyBuffer_Release(&view)


def unpack_bits(data, Py_ssize_t count):
    """The first `count` coils or inputs of a reply's data bytes, lowest bit first (V1.1b3, 6.1), to a list of bool.

    Raises ValueError (data shorter than count bits)."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= count <= 8 * view.len:
            raise ValueError(f"count: expected 0..{8 * view.len}, got {count}")
        return bits_from(<const uint8_t *>view.buf, <size_t>count)
    finally:
        PyBuffer_Release(&view)


class Point(NamedTuple):
    """One value in a block of registers.

    offset: its first register, counted from the block's first. type: one of TYPES. order: of the bytes of a 32-bit value,
    A the highest, and likewise of other sizes. scale, add: value = raw * scale + add; a scale such as 0.1 or "0.001" is
    taken as the decimal fraction that it looks like. missing: the integer, raw, that means "no value".
    length: registers of a string, or bits of a bit field. bit: its lowest bit, 0 to 15.
    """

    offset: int
    type: str
    order: str = "ABCD"
    scale: float | str | Fraction = 1
    add: float = 0.0
    missing: int | None = None
    length: int = 1
    bit: int = 0


cdef class Layout:
    """Points compiled for `decode`. Raises ValueError (which point, what is wrong)."""

    cdef ev_modbus_point *points
    cdef ev_modbus_value *scratch
    cdef Py_ssize_t count
    cdef readonly int registers
    """Registers that a block must have for this layout."""

    def __cinit__(self, points):
        cdef list wanted = [Point(*point) for point in points]
        self.count = len(wanted)
        self.points = <ev_modbus_point *>PyMem_Calloc(<size_t>self.count + 1, sizeof(ev_modbus_point))
        self.scratch = <ev_modbus_value *>PyMem_Calloc(<size_t>self.count + 1, sizeof(ev_modbus_value))
        if self.points == NULL or self.scratch == NULL:
            raise MemoryError
        for i, point in enumerate(wanted):
            try:
                compile_point(point, &self.points[<Py_ssize_t>i])
            except (ValueError, ZeroDivisionError, OverflowError) as error:
                raise ValueError(f"point {i}: {error}") from None
        self.registers = <int>(ev_modbus_reach(self.points, <size_t>self.count) // 2)

    def __dealloc__(self):
        PyMem_Free(self.points)
        PyMem_Free(self.scratch)

    def __len__(self):
        return self.count

    def decode(self, data):
        """The values, one a point in the order given: int, float, str, bool, or None where missing.

        data: register bytes, big-endian as on the wire. A float that is not finite is missing. Raises ValueError
        (data shorter than the layout).
        """
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.values(<const uint8_t *>view.buf, <size_t>view.len)
        finally:
            PyBuffer_Release(&view)

    cdef list values(self, const uint8_t *data, size_t size):
        cdef list result = PyList_New(self.count)
        cdef object value
        cdef ev_modbus_value *raw
        cdef Py_ssize_t i
        if not ev_modbus_decode(data, size, self.points, <size_t>self.count, self.scratch):
            raise ValueError(f"registers: expected {self.registers}, got {size // 2}")
        for i in range(self.count):
            raw = &self.scratch[i]
            if raw.kind == EV_MODBUS_REAL:
                value = PyFloat_FromDouble(raw.as_.f)
            elif raw.kind == EV_MODBUS_UNSIGNED:
                value = PyLong_FromUnsignedLongLong(raw.as_.u)
            elif raw.kind == EV_MODBUS_SIGNED:
                value = PyLong_FromLongLong(raw.as_.i)
            elif raw.kind == EV_MODBUS_FLAG:
                value = raw.as_.u != 0
            elif raw.kind == EV_MODBUS_TEXT:
                value = text_of(data, &self.points[i])
            else:
                value = None
            Py_INCREF(value)
            PyList_SET_ITEM(result, i, value)
        return result


cdef object text_of(const uint8_t *data, const ev_modbus_point *point):
    cdef char text[250]
    cdef size_t size = ev_modbus_text(data, point, text)
    return text[:size].decode("utf-8", "replace")


cdef int compile_point(point, ev_modbus_point *out) except -1:
    if point.type not in TYPES:
        raise ValueError(f"type: expected one of {', '.join(TYPES)}, got {point.type!r}")
    if point.order not in ORDERS:
        raise ValueError(f"order: expected one of {', '.join(ORDERS)}, got {point.order!r}")
    kind = TYPES.index(point.type)
    words = WORDS[kind] or point.length
    if not 1 <= words <= 125:
        raise ValueError(f"length: expected 1..125, got {words}")
    if not 0 <= point.offset <= 65536 - words:
        raise ValueError(f"offset: expected 0..{65536 - words}, got {point.offset}")
    out.type, out.words, out.offset = kind, words, point.offset
    if point.order in ("CDAB", "DCBA"):
        out.flags |= EV_MODBUS_WORDS_LITTLE
    if point.order in ("BADC", "DCBA"):
        out.flags |= EV_MODBUS_BYTES_LITTLE
    if point.type == "bits":
        if not (0 <= point.bit <= 15 and 1 <= point.length <= 16 - point.bit):
            raise ValueError(f"bit, length: expected a field within 16 bits, got {point.bit}, {point.length}")
        out.bit, out.width = point.bit, point.length
    if point.missing is not None and point.type != "string":
        limit = 1 << (16 * words)
        if not -(limit // 2) <= point.missing < limit:
            raise ValueError(f"missing: expected an integer of {16 * words} bits, got {point.missing}")
        out.missing = point.missing % limit
        out.flags |= EV_MODBUS_MISSING
    scale = Fraction(str(point.scale))
    if scale != 1 or point.add:
        out.flags |= EV_MODBUS_SCALED
        out.multiply, out.divide, out.add = scale.numerator, scale.denominator, point.add
    return 0


def decode_registers(data, Layout layout not None):
    """`layout.decode(data)`: register bytes, big-endian as on the wire, to a list of values."""
    return layout.decode(data)


cdef class Request:
    """A request and all that a reply to it must be. unit: 0..255. pdu: function code and data, of the functions 1-6, 15,
    16, 22, 23. Raises ValueError (not such a request, or beyond the limits of V1.1b3, 6)."""

    cdef ev_modbus_want want
    cdef readonly bytes pdu
    cdef readonly int unit, function, address

    def __init__(self, int unit, bytes pdu not None):
        if not 0 <= unit <= 255:
            raise ValueError(f"unit: expected 0..255, got {unit}")
        if not ev_modbus_want_of(<const uint8_t *>PyBytes_AS_STRING(pdu), <size_t>len(pdu), unit, &self.want):
            raise ValueError(f"pdu: expected a request of function 1-6, 15, 16, 22 or 23 within its limits, got {pdu.hex(' ')}")
        self.unit, self.pdu, self.function = unit, pdu, pdu[0]
        self.address = pdu[1] << 8 | pdu[2]

    @property
    def reply_size(self):
        """Bytes of a good reply's RTU frame."""
        return 4 + (self.want.echo_len if self.want.echo_len else 1 + self.want.count)

    def __repr__(self):
        return f"{type(self).__name__}(unit={self.unit}, function={self.function}, address={self.address})"

    def to_rtu(self):
        """The frame for a serial line."""
        cdef uint8_t out[256]
        cdef size_t size = ev_modbus_rtu_frame(out, <uint8_t>self.unit, <const uint8_t *>PyBytes_AS_STRING(self.pdu),
                                               <size_t>len(self.pdu))
        return PyBytes_FromStringAndSize(<char *>out, <Py_ssize_t>size)

    def to_tcp(self, uint16_t transaction_id):
        """The frame for TCP."""
        cdef uint8_t out[260]
        cdef size_t size = ev_modbus_tcp_frame(out, transaction_id, <uint8_t>self.unit,
                                               <const uint8_t *>PyBytes_AS_STRING(self.pdu), <size_t>len(self.pdu))
        return PyBytes_FromStringAndSize(<char *>out, <Py_ssize_t>size)

    def check(self, adu):
        """The data bytes (functions 1-4, 23) or echoed bytes of an RTU reply: `adu` is one whole frame and nothing else.

        Raises InvalidReply (which rule it breaks), ModbusException (the device refused).
        """
        return self.payload(adu, -1)

    def check_tcp(self, adu, uint16_t transaction_id):
        """As `check`, of a TCP frame."""
        return self.payload(adu, transaction_id)

    def find(self, data, bint last=False):
        """Look for the reply in what came from a serial line, past garbage.

        Result: (used, outcome): outcome None while there is none, then the bytes as of `check` or a ModbusException;
        used bytes at the front of `data` are of no more use. last: no more bytes will come.
        """
        cdef ev_modbus_reply reply
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            status = ev_modbus_rtu_find(<const uint8_t *>view.buf, <size_t>view.len, &self.want, last, &reply)
            if status == EV_MODBUS_MORE:
                return reply.at, None
            if status == EV_MODBUS_REFUSED:
                return reply.end, self.refusal(reply.got)
            return reply.end, PyBytes_FromStringAndSize(<char *>view.buf + reply.at, <Py_ssize_t>reply.len)
        finally:
            PyBuffer_Release(&view)

    cdef object refusal(self, int code):
        return ModbusException(code, self.function, self.unit, self.address)

    cdef object fault(self, ev_modbus_status status, const ev_modbus_reply *reply, const uint8_t *adu):
        """The exception to raise for a reply that is not OK."""
        if status == EV_MODBUS_REFUSED:
            return self.refusal(<int>reply.got)
        if status == EV_MODBUS_ECHO:
            got = PyBytes_FromStringAndSize(<char *>adu + reply.at, <Py_ssize_t>reply.len)
            return InvalidReply("echo", self.want.echo[:self.want.echo_len].hex(" ", 2), got.hex(" ", 2))
        return InvalidReply(REASONS[<int>status], reply.expected, reply.got)

    cdef ev_modbus_status judge(self, const Py_buffer *view, int transaction, ev_modbus_reply *reply):
        if transaction < 0:
            return ev_modbus_rtu_check(<const uint8_t *>view.buf, <size_t>view.len, &self.want, reply)
        return ev_modbus_tcp_check(<const uint8_t *>view.buf, <size_t>view.len, &self.want, <uint16_t>transaction, reply)

    cdef object payload(self, adu, int transaction):
        cdef ev_modbus_reply reply
        cdef Py_buffer view
        PyObject_GetBuffer(adu, &view, PyBUF_SIMPLE)
        try:
            status = self.judge(&view, transaction, &reply)
            if status != EV_MODBUS_OK:
                raise self.fault(status, &reply, <const uint8_t *>view.buf)
            return PyBytes_FromStringAndSize(<char *>view.buf + reply.at, <Py_ssize_t>reply.len)
        finally:
            PyBuffer_Release(&view)


cdef class ReadRequest(Request):
    """Read `count` coils (function 1), discrete inputs (2), holding registers (3) or input registers (4).

    address: 0-based, as on the wire. count: 1..2000 bits or 1..125 registers. Raises ValueError (which argument).
    Source: V1.1b3, 6.1-6.4. The adu methods raise InvalidReply and ModbusException as `check` does.
    """

    cdef readonly int count

    def __init__(self, int unit, int function, int address, int count):
        cdef uint8_t pdu[5]
        most = 2000 if function <= 2 else 125
        if not 1 <= function <= 4:
            raise ValueError(f"function: expected 1..4, got {function}")
        if not 0 <= address <= 65535:
            raise ValueError(f"address: expected 0..65535, got {address}")
        if not 1 <= count <= min(most, 65536 - address):
            raise ValueError(f"count: expected 1..{min(most, 65536 - address)}, got {count}")
        ev_modbus_pdu_short(pdu, <uint8_t>function, <uint16_t>address, <uint16_t>count)
        super().__init__(unit, pdu[:5])
        self.count = count

    def __repr__(self):
        return f"ReadRequest({self.unit}, {self.function}, {self.address}, {self.count})"

    def registers(self, adu):
        """The registers of an RTU reply (functions 3, 4), a list of `count` ints."""
        return self.read(adu, -1, None)

    def registers_tcp(self, adu, uint16_t transaction_id):
        """As `registers`, of a TCP reply."""
        return self.read(adu, transaction_id, None)

    def values(self, adu, Layout layout not None):
        """The values of an RTU reply (functions 3, 4), as `Layout.decode` makes them."""
        return self.read(adu, -1, layout)

    def values_tcp(self, adu, uint16_t transaction_id, Layout layout not None):
        """As `values`, of a TCP reply."""
        return self.read(adu, transaction_id, layout)

    def bits(self, adu):
        """The coils or inputs of an RTU reply (functions 1, 2), a list of `count` bools."""
        return unpack_bits(self.payload(adu, -1), self.count)

    def bits_tcp(self, adu, uint16_t transaction_id):
        """As `bits`, of a TCP reply."""
        return unpack_bits(self.payload(adu, transaction_id), self.count)

    cdef list read(self, adu, int transaction, Layout layout):
        cdef ev_modbus_reply reply
        cdef Py_buffer view
        if self.function <= 2:
            raise ValueError(f"function {self.function} reads bits, not registers")
        PyObject_GetBuffer(adu, &view, PyBUF_SIMPLE)
        try:
            status = self.judge(&view, transaction, &reply)
            if status != EV_MODBUS_OK:
                raise self.fault(status, &reply, <const uint8_t *>view.buf)
            if layout is None:
                return registers_from(<const uint8_t *>view.buf + reply.at, reply.len // 2)
            return layout.values(<const uint8_t *>view.buf + reply.at, reply.len)
        finally:
            PyBuffer_Release(&view)


cdef class WriteRequest(Request):
    """Write one coil (function 5) or register (6), or several coils (15: 1..1968) or registers (16: 1..123).

    values: bools for coils, ints 0..65535 for registers. Raises ValueError (which argument). Source: V1.1b3, 6.5, 6.6,
    6.11, 6.12.
    """

    cdef readonly int count

    def __init__(self, int unit, int function, int address, values):
        cdef uint8_t pdu[253]
        cdef uint16_t numbers[1968]
        cdef list wanted = list(values)
        cdef size_t size
        most = {5: 1, 6: 1, 15: 1968, 16: 123}.get(function)
        if most is None:
            raise ValueError(f"function: expected 5, 6, 15 or 16, got {function}")
        if not 0 <= address <= 65535:
            raise ValueError(f"address: expected 0..65535, got {address}")
        if not 1 <= len(wanted) <= min(most, 65536 - address):
            raise ValueError(f"values: expected 1..{min(most, 65536 - address)}, got {len(wanted)}")
        largest = 1 if function in (5, 15) else 65535
        for i, value in enumerate(wanted):
            if not 0 <= value <= largest:
                raise ValueError(f"values: expected 0..{largest}, got {value!r}")
            numbers[<Py_ssize_t>i] = value
        if function == 15:
            size = ev_modbus_pdu_coils(pdu, <uint16_t>address, numbers, <size_t>len(wanted))
        elif function == 16:
            size = ev_modbus_pdu_registers(pdu, <uint16_t>address, numbers, <size_t>len(wanted))
        else:  # 6.5: on is 0xFF00
            first = 0xFF00 * numbers[0] if function == 5 else numbers[0]
            size = ev_modbus_pdu_short(pdu, <uint8_t>function, <uint16_t>address, <uint16_t>first)
        super().__init__(unit, pdu[:size])
        self.count = <int>len(wanted)

    def confirm(self, adu):
        """Return None if `adu` is the RTU reply that confirms this very write; else raise as `check` does."""
        self.payload(adu, -1)

    def confirm_tcp(self, adu, uint16_t transaction_id):
        """As `confirm`, of a TCP reply."""
        self.payload(adu, transaction_id)


def tcp_size(data):
    """Bytes of the first TCP frame in `data`, by its MBAP length; 0 while it is not whole.

    Raises FrameError ("protocol", "length"): no frame can begin here, and there is no way to find the next one.
    """
    cdef Py_buffer view
    cdef size_t size = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        status = ev_modbus_tcp_size(<const uint8_t *>view.buf, <size_t>view.len, &size)
        if status == EV_MODBUS_OK:
            return size
        if status == EV_MODBUS_MORE:
            return 0
        raise FrameError(REASONS[<int>status], bytes((<const uint8_t *>view.buf)[:min(view.len, 8)]).hex(" "), where=2)
    finally:
        PyBuffer_Release(&view)
