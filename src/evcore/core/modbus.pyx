# cython: language_level=3, embedsignature=True, binding=False, boundscheck=False, wraparound=False
"""Modbus, the seam: bytes in, Python objects out. The contract is native/include/evcore/{crc16,modbus}.h."""

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLong, PyLong_FromLongLong, PyLong_FromUnsignedLongLong
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.number cimport PyNumber_Index
from cpython.ref cimport Py_INCREF
from libc.math cimport isfinite
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from evcore.errors import FrameError, InvalidReply, ModbusException


# In the order of ev_modbus_status.
cdef tuple REASONS = ("", "", "", "length", "crc", "unit", "function", "count", "echo", "transaction", "protocol",
                      "content")


def use_cpu(str variant not None=""):
    """Choose the variant of the CRC: "" for the best that this CPU has, or one by name; False if there is none of it."""
    if "\0" in variant:
        return False
    return ev_crc16_use(variant.encode("utf-8", "replace"))  # the environment may hold what is no UTF-8


def cpu():
    """The variant in use: "portable", or the CPU feature that it needs."""
    return ev_crc16_variant().decode()


# Another part's variant may be forced by a name that means nothing here.
if not use_cpu(os.environ.get("EVCORE_CPU", "")):
    use_cpu()


cdef int within(str name, value, int low, int high) except -1:
    """An int of low..high. What has a fraction is a TypeError: C would cut it off without a word."""
    number = PyNumber_Index(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected {low}..{high}, got {number}")
    return number


def crc16(data):
    """Return the CRC-16/MODBUS of `data`.

    data: bytes-like. Result: 0..65535; a frame carries it low byte first.
    Raises TypeError (not bytes-like).
    Source: MODBUS over Serial Line V1.02, 2.5.1.2.
    """
    return crc16_of(data)


cdef inline uint16_t crc16_of(data) except? 0:
    cdef Py_buffer view
    if type(data) is bytes:
        return ev_crc16(<const uint8_t *>PyBytes_AS_STRING(data), <size_t>len(<bytes>data))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return ev_crc16(<const uint8_t *>view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)


def crc16_many(frames):
    """`crc16` of each of `frames`, an iterable of bytes-likes, as a list of int in their order."""
    return [crc16_of(frame) for frame in frames]


include "modbus_registers.pxi"


SHAPES = ("fixed", "counted", "echo")
cdef dict custom = {}  # function code -> (shape, n), of register_shape


def register_shape(code, str shape, n):
    """See evcore.modbus.register_function. shape: one of SHAPES; n: its bytes."""
    if shape not in SHAPES:
        raise ValueError(f"shape: expected one of {', '.join(SHAPES)}, got {shape!r}")
    cdef int number = within("code", code, 1, 127)
    if ev_modbus_is_standard(<uint8_t>number):
        raise ValueError(f"code: expected one that MODBUS does not define, got {number}")
    wanted = shape, within("reply", n, 0 if shape == "counted" else 1, 251 if shape == "counted" else 252)
    if custom.setdefault(number, wanted) != wanted:
        raise ValueError(f"code: {number} is registered already, with another reply")


cdef bint expect(bytes pdu, uint8_t unit, ev_modbus_want *want):
    """The reply that `pdu` asks for; false: it is no request."""
    cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(pdu)
    cdef size_t size = <size_t>len(pdu)
    if ev_modbus_want_of(data, size, unit, want):
        return True
    if size == 0 or data[0] not in custom:
        return False
    shape, n = custom[data[0]]
    return ev_modbus_want_custom(data, size, unit, EV_MODBUS_COUNTED_AT if shape == "counted" else EV_MODBUS_FIXED,
                                 shape == "echo", n, want)


cdef class Request:
    """A request and all that a reply to it must be. unit: 0..255. pdu: function code and data, of the functions 1-8, 11,
    12, 15-17, 20-24, 43/14, or one registered. Raises ValueError (not such a request, or beyond the limits of
    V1.1b3, 6). address: the first that it names, 0 if none. Typed requests: evcore.modbus.functions."""

    cdef ev_modbus_want want
    cdef readonly bytes pdu
    cdef readonly int unit, function, address

    def __init__(self, unit, bytes pdu not None):
        cdef int number = within("unit", unit, 0, 255)
        cdef ev_modbus_want want
        if not expect(pdu, <uint8_t>number, &want):
            raise ValueError("pdu: expected a request of function 1-8, 11, 12, 15-17, 20-24, 43/14, or one registered, "
                             f"within its limits, got {pdu[:EV_MODBUS_PDU_MAX].hex(' ')}")
        self.unit, self.pdu, self.function = number, pdu, pdu[0]
        self.want = want  # it points into self.pdu
        self.address = pdu[1] << 8 | pdu[2] if self.function in (1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 24) else 0

    @property
    def is_write(self):
        """Does it change the device? Functions 5, 6, 15, 16, 21, 22, 23."""
        return self.function in (5, 6, 15, 16, 21, 22, 23)

    @property
    def reply_size(self):
        """Bytes of a good reply's RTU frame, at most."""
        return ev_modbus_reply_max(&self.want)

    @property
    def reply_around(self):
        """Bytes of a good reply's RTU frame besides those that `check` returns."""
        return ev_modbus_reply_around(&self.want)

    def __repr__(self):
        return f"{type(self).__name__}(unit={self.unit}, function={self.function}, address={self.address})"

    def to_rtu(self):
        """The frame for a serial line."""
        cdef uint8_t out[256]
        cdef size_t size = ev_modbus_rtu_frame(out, <uint8_t>self.unit, <const uint8_t *>PyBytes_AS_STRING(self.pdu),
                                               <size_t>len(self.pdu))
        return PyBytes_FromStringAndSize(<char *>out, <Py_ssize_t>size)

    def to_tcp(self, transaction_id):
        """The frame for TCP. Raises ValueError (transaction_id: 0..65535)."""
        cdef int transaction = within("transaction_id", transaction_id, 0, 65535)
        cdef uint8_t out[260]
        cdef size_t size = ev_modbus_tcp_frame(out, <uint16_t>transaction, <uint8_t>self.unit,
                                               <const uint8_t *>PyBytes_AS_STRING(self.pdu), <size_t>len(self.pdu))
        return PyBytes_FromStringAndSize(<char *>out, <Py_ssize_t>size)

    def check(self, adu):
        """The data bytes of an RTU reply: `adu` is one whole frame and nothing else.

        They are what follows the byte count (functions 1-4, 12, 17, 20, 23, 24) or the function code (all others).
        Raises InvalidReply (which rule it breaks), ModbusException (the device refused).
        """
        return self.payload(adu, -1)

    def check_tcp(self, adu, transaction_id):
        """As `check`, of a TCP frame."""
        return self.payload(adu, within("transaction_id", transaction_id, 0, 65535))

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
            return InvalidReply("echo", self.pdu[1:1 + self.want.echo_len].hex(" ", 2), got.hex(" ", 2))
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

    def __init__(self, unit, function, address, count):
        cdef uint8_t pdu[5]
        cdef int code = within("function", function, 1, 4)
        cdef int first = within("address", address, 0, 65535)
        cdef int number = within("count", count, 1, min(2000 if code <= 2 else 125, 65536 - first))
        ev_modbus_pdu_short(pdu, <uint8_t>code, <uint16_t>first, <uint16_t>number)
        super().__init__(unit, pdu[:5])
        self.count = number

    def __repr__(self):
        return f"ReadRequest({self.unit}, {self.function}, {self.address}, {self.count})"

    def registers(self, adu):
        """The registers of an RTU reply (functions 3, 4), a list of `count` ints."""
        return self.read(adu, -1, None)

    def registers_tcp(self, adu, transaction_id):
        """As `registers`, of a TCP reply."""
        return self.read(adu, within("transaction_id", transaction_id, 0, 65535), None)

    def values(self, adu, Layout layout not None):
        """The values of an RTU reply (functions 3, 4), as `Layout.decode` makes them."""
        return self.read(adu, -1, layout)

    def values_tcp(self, adu, transaction_id, Layout layout not None):
        """As `values`, of a TCP reply."""
        return self.read(adu, within("transaction_id", transaction_id, 0, 65535), layout)

    def bits(self, adu):
        """The coils or inputs of an RTU reply (functions 1, 2), a list of `count` bools."""
        return unpack_bits(self.payload(adu, -1), self.count)

    def bits_tcp(self, adu, transaction_id):
        """As `bits`, of a TCP reply."""
        return unpack_bits(self.payload(adu, within("transaction_id", transaction_id, 0, 65535)), self.count)

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
            return layout.objects(<const uint8_t *>view.buf + reply.at, reply.len)
        finally:
            PyBuffer_Release(&view)


cdef class WriteRequest(Request):
    """Write one coil (function 5) or register (6), or several coils (15: 1..1968) or registers (16: 1..123).

    values: bools for coils, ints 0..65535 for registers. Raises ValueError (which argument). Source: V1.1b3, 6.5, 6.6,
    6.11, 6.12.
    """

    cdef readonly int count

    def __init__(self, unit, function, address, values):
        cdef uint8_t pdu[253]
        cdef uint16_t numbers[1968]
        cdef int code = PyNumber_Index(function) if function in (5, 6, 15, 16) else 0
        cdef int first = within("address", address, 0, 65535)
        cdef tuple wanted = tuple(values)
        cdef size_t size, count = <size_t>len(wanted)
        if code == 0:
            raise ValueError(f"function: expected 5, 6, 15 or 16, got {function}")
        most = min({5: 1, 6: 1, 15: 1968, 16: 123}[code], 65536 - first)
        if not 1 <= count <= most:
            raise ValueError(f"values: expected 1..{most} of them, got {count}")
        largest = 1 if code in (5, 15) else 65535
        for i, value in enumerate(wanted):
            numbers[<Py_ssize_t>i] = <uint16_t>within("values", value, 0, largest)
        if code == 15:
            size = ev_modbus_pdu_coils(pdu, <uint16_t>first, numbers, count)
        elif code == 16:
            size = ev_modbus_pdu_registers(pdu, <uint16_t>first, numbers, count)
        else:  # 6.5: on is 0xFF00
            word = 0xFF00 * numbers[0] if code == 5 else numbers[0]
            size = ev_modbus_pdu_short(pdu, <uint8_t>code, <uint16_t>first, <uint16_t>word)
        super().__init__(unit, pdu[:size])
        self.count = <int>count

    def confirm(self, adu):
        """Return None if `adu` is the RTU reply that confirms this very write; else raise as `check` does."""
        self.payload(adu, -1)

    def confirm_tcp(self, adu, transaction_id):
        """As `confirm`, of a TCP reply."""
        self.payload(adu, within("transaction_id", transaction_id, 0, 65535))


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
