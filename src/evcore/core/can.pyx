# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False
"""CAN, the seam: a payload in, a dict of signal values out. The contract is native/include/evcore/can.h."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from sys import intern

from evcore.errors import FrameError, PayloadError

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL

cdef extern from "evcore/can.h" nogil:
    enum:
        EV_CAN_BYTES_MAX
    ctypedef enum ev_can_kind:
        EV_CAN_UNSIGNED
        EV_CAN_SIGNED
        EV_CAN_FLOAT32
        EV_CAN_FLOAT64
    ctypedef enum ev_can_order:
        EV_CAN_LITTLE
        EV_CAN_BIG
    ctypedef enum ev_can_status:
        EV_CAN_OK
        EV_CAN_BAD_BITS
        EV_CAN_BAD_PLACE
        EV_CAN_SHORT
        EV_CAN_SELECTOR
    ctypedef struct ev_can_range:
        int64_t low
        int64_t high
    ctypedef struct ev_can_signal:
        uint16_t need
        uint8_t bits
        uint8_t kind
        int32_t selector
        uint32_t ranges
        uint32_t range_count
        uint32_t known
        uint32_t known_count
        double factor
        double offset
    ctypedef struct ev_can_plan:
        const ev_can_signal *signals
        const ev_can_range *ranges
        uint32_t count
        uint32_t length
    ev_can_status ev_can_signal_init(ev_can_signal *signal, uint32_t start, uint32_t bits, ev_can_order order,
                                     ev_can_kind kind)
    ev_can_status ev_can_decode(const ev_can_plan *plan, const uint8_t *data, size_t len, uint64_t *raw,
                                uint8_t *valid, size_t *at)
    double ev_can_physical(const ev_can_signal *signal, uint64_t raw)

# How a raw value becomes the answer; chosen when the plan is made, so that decoding never decides.
cdef enum:
    AS_IT_IS = 0
    INTEGER = 1  # raw * factor + offset fits 64 bits
    FLOATING = 2  # in double arithmetic, which here is Python's own, step by step
    PYTHON = 3  # integers beyond both: by Python's arithmetic
    NAMED = 4  # added: some of its values have names

cdef enum:
    ON_STACK = 96  # signals; a longer message takes its scratch space from the heap

_KINDS = {"unsigned": EV_CAN_UNSIGNED, "signed": EV_CAN_SIGNED, "float": -1}
_EXACT = 1 << 53  # every smaller integer is a double


cdef class MessagePlan:
    """A CAN message, compiled: where its signals lie and what their values mean.

    name: for errors. length: bytes of a whole payload, 0..4096. signals: dicts, a multiplexer before what it selects, with
    name, start (DBC start bit), bits (1..64), big_endian, kind ("unsigned", "signed", "float"), factor, offset
    (int or float), choices (dict raw int -> object, or None), selector (index of the multiplexer, or None), values
    (its values that select this signal: ascending (low, high) pairs), known (of a multiplexer: all values that
    select something, or None).
    Raises ValueError (a signal that cannot be), with its name.
    Source: Vector DBC File Format Documentation 1.0.5, 8.9 and 13.
    """

    cdef readonly str name
    cdef readonly tuple names
    cdef tuple _choices, _factors, _offsets
    cdef dict _template
    cdef ev_can_signal *_signals
    cdef ev_can_range *_ranges
    cdef uint8_t *_how
    cdef ev_can_plan _plan
    cdef int32_t _unfit  # the first signal that the message has no room for, or -1

    def __cinit__(self, str name not None, length, signals):
        length = PyNumber_Index(length)
        if not 0 <= length <= EV_CAN_BYTES_MAX:
            raise ValueError(f"{name}: expected a length of 0..{EV_CAN_BYTES_MAX}, got {length}")
        signals = [dict(spec) for spec in signals]  # read more than once: they must not change meanwhile
        cdef uint32_t count = <uint32_t>len(signals)
        ranges = []
        self.name = name
        self._unfit = -1
        self._signals = <ev_can_signal *>PyMem_Calloc(count + 1, sizeof(ev_can_signal))
        self._how = <uint8_t *>PyMem_Calloc(count + 1, 1)
        if self._signals == NULL or self._how == NULL:
            raise MemoryError()
        for i, spec in enumerate(signals):
            try:
                self._compile(<uint32_t>i, length, spec, ranges)
            except OverflowError as error:
                raise ValueError(f"{name}.{spec['name']}: {error}") from None
        self._ranges = <ev_can_range *>PyMem_Calloc(<size_t>len(ranges) + 1, sizeof(ev_can_range))
        if self._ranges == NULL:
            raise MemoryError()
        for i, (low, high) in enumerate(ranges):
            self._ranges[<size_t>i] = ev_can_range(low, high)  # both fit: _ranges_of
        self.names = tuple(intern(spec["name"]) for spec in signals)
        self._choices = tuple(spec["choices"] for spec in signals)
        self._factors = tuple(_plain(spec["factor"], spec) for spec in signals)
        self._offsets = tuple(_plain(spec["offset"], spec) for spec in signals)
        self._template = dict.fromkeys(self.names)
        self._plan = ev_can_plan(self._signals, self._ranges, count, length)

    cdef _compile(self, uint32_t i, uint32_t length, spec, list ranges):
        cdef ev_can_signal *signal = &self._signals[i]
        kind = _KINDS.get(spec["kind"])
        if kind is None:
            raise ValueError(f"{self.name}.{spec['name']}: expected as kind one of {', '.join(_KINDS)}, "
                             f"got {spec['kind']!r}")
        if kind < 0:
            kind = EV_CAN_FLOAT32 if spec["bits"] == 32 else EV_CAN_FLOAT64
        order = EV_CAN_BIG if spec["big_endian"] else EV_CAN_LITTLE
        start, bits = PyNumber_Index(spec["start"]), PyNumber_Index(spec["bits"])
        status = ev_can_signal_init(signal, start, bits, <ev_can_order>order, <ev_can_kind>kind)
        if status != EV_CAN_OK:
            limit = "1..64 bits, a float 32 or 64" if status == EV_CAN_BAD_BITS else f"{EV_CAN_BYTES_MAX} bytes"
            raise ValueError(f"{self.name}.{spec['name']}: expected at most {limit}, "
                             f"got start {spec['start']}, {spec['bits']} bits")
        selector, known = spec["selector"], spec["known"]
        if selector is not None:
            if not 0 <= selector < i:
                raise ValueError(f"{self.name}.{spec['name']}: expected its multiplexer before it, got {selector}")
            signal.selector = PyNumber_Index(selector)
            values = _ranges_of(spec["values"])
            signal.ranges, signal.range_count = <uint32_t>len(ranges), <uint32_t>len(values)
            ranges += values
        if known is not None:
            values = _ranges_of(known)
            signal.known, signal.known_count = <uint32_t>len(ranges), <uint32_t>len(values)
            ranges += values
        signal.factor, signal.offset = float(spec["factor"]), float(spec["offset"])
        if self._unfit < 0 and signal.need > length:
            self._unfit = <int32_t>i
        self._how[i] = _how(spec["factor"], spec["offset"], spec["bits"], kind >= EV_CAN_FLOAT32)
        if spec["choices"] is not None:
            spec["choices"] = dict(spec["choices"])
            self._how[i] |= NAMED

    def __dealloc__(self):
        PyMem_Free(self._signals)
        PyMem_Free(self._ranges)
        PyMem_Free(self._how)

    @property
    def length(self):
        """Bytes of a whole payload."""
        return self._plan.length

    cpdef decode(self, data, bint choices=True, bint scaling=True, bint allow_truncated=False):
        """Return the signals of `data` as a dict from name to value, in the order of the plan.

        data: bytes-like; what is longer than the message is not looked at. choices: give the object that stands for
        a value where there is one. scaling: raw * factor + offset; integers stay integers where all three are.
        allow_truncated: leave out the signals that a short payload does not hold.
        Raises PayloadError: "length" (too short), "multiplexer" (its value selects nothing).
        """
        cdef Py_buffer view
        if type(data) is bytes:
            return self._decode(<const uint8_t *>(<bytes>data), <size_t>len(<bytes>data),
                                choices, scaling, allow_truncated)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self._decode(<const uint8_t *>view.buf, <size_t>view.len, choices, scaling, allow_truncated)
        finally:
            PyBuffer_Release(&view)

    cdef dict _decode(self, const uint8_t *data, size_t len, bint choices, bint scaling, bint allow_truncated):
        cdef uint64_t raw_here[ON_STACK]
        cdef uint8_t valid_here[ON_STACK]
        cdef uint64_t *raw = raw_here
        cdef uint8_t *valid = valid_here
        cdef size_t at = 0
        cdef size_t count = self._plan.count
        cdef ev_can_plan plan = self._plan
        if allow_truncated:
            plan.length = 0
        if count > ON_STACK:
            raw = <uint64_t *>PyMem_Malloc(count * (sizeof(uint64_t) + 1))
            if raw == NULL:
                raise MemoryError()
            valid = <uint8_t *>(raw + count)
        try:
            # Excess is cut off, so that a signal that the message itself has no room for is never made up from it.
            status = ev_can_decode(&plan, data, min(len, <size_t>self._plan.length), raw, valid, &at)
            if status == EV_CAN_OK and (self._unfit < 0 or allow_truncated):
                return self._build(raw, valid, choices, scaling)
            if status == EV_CAN_SHORT:
                raise PayloadError("length", f"/{self.name}", f"{at} bytes", f"{len}")
            if status == EV_CAN_SELECTOR:
                raise self._not_selected(at, raw[at])
            raise PayloadError("length", f"/{self.name}/{self.names[self._unfit]}",
                               f"room in {self._plan.length} bytes", f"{self._signals[self._unfit].need} bytes")
        finally:
            if count > ON_STACK:
                PyMem_Free(raw)

    cdef dict _build(self, const uint64_t *raw, const uint8_t *valid, bint choices, bint scaling):
        cdef size_t count = self._plan.count
        cdef size_t i
        cdef size_t there = 0
        for i in range(count):
            there += valid[i]
        # A copy of a dict of the right size costs less than one that grows; nearly every message is whole.
        cdef bint whole = there == count
        cdef dict result = PyDict_Copy(self._template) if whole else {}
        for i in range(count):
            if valid[i]:
                PyDict_SetItem(result, <object>self.names[i], self._value(i, raw[i], choices, scaling))
        return result

    cdef inline object _value(self, size_t i, uint64_t raw, bint choices, bint scaling):
        cdef uint8_t how = self._how[i]
        cdef PyObject *found
        if how == FLOATING and scaling:  # nearly every signal
            return ev_can_physical(&self._signals[i], raw)
        if choices and how & NAMED:
            found = PyDict_GetItemWithError(self._choices[i], self._number(i, raw))
            if found != NULL:
                return <object>found
        how = how & ~NAMED if scaling else AS_IT_IS
        if how == FLOATING:
            return ev_can_physical(&self._signals[i], raw)
        if how == AS_IT_IS:
            return self._number(i, raw)
        if how == INTEGER:
            return <int64_t>raw * <int64_t>self._signals[i].factor + <int64_t>self._signals[i].offset
        return self._number(i, raw) * self._factors[i] + self._offsets[i]

    cdef inline object _number(self, size_t i, uint64_t raw):
        cdef double value
        if self._signals[i].kind == EV_CAN_UNSIGNED:
            return raw
        if self._signals[i].kind == EV_CAN_SIGNED:
            return <int64_t>raw
        memcpy(&value, &raw, sizeof(value))
        return value

    cdef object _not_selected(self, size_t i, uint64_t raw):
        cdef ev_can_signal *signal = &self._signals[i]
        known = []
        for k in range(signal.known, signal.known + min(signal.known_count, <uint32_t>8)):
            low, high = self._ranges[k].low, self._ranges[k].high
            known.append(str(low) if low == high else f"{low}..{high}")
        more = ", ..." if signal.known_count > 8 else ""
        return PayloadError("multiplexer", f"/{self.name}/{self.names[i]}", ", ".join(known) + more,
                            str(self._number(i, raw)))


cdef class Decoders:
    """The messages of a bus by identifier.

    name: for errors. plans: identifier -> MessagePlan, or a callable with the arguments of MessagePlan.decode.
    """

    cdef readonly str name
    cdef dict _plans

    def __cinit__(self, *_, **__):
        self._plans = {}

    def __init__(self, dict plans not None, str name not None):
        self._plans, self.name = plans, name

    def decode(self, frame_id, data, *, bint choices=True, bint scaling=True, bint allow_truncated=False):
        """Return the signals of one payload, by name.

        choices: give cantools' NamedSignalValue for a value that has a name. scaling: raw * factor + offset.
        allow_truncated: leave out what a short payload does not hold, instead of refusing it. What is longer than the
        message is not looked at.
        Raises FrameError (no such message), PayloadError (too short; a multiplexer value that selects nothing).
        """
        cdef PyObject *found = PyDict_GetItemWithError(self._plans, frame_id)
        cdef object plan
        if found == NULL:
            PyNumber_Index(frame_id)
            raise FrameError("id", f"no message 0x{frame_id:X} in {self.name or 'the database'}", where="identifier")
        plan = <object>found  # held: what `data` runs to give its bytes may take the plan out of the dict
        if type(plan) is MessagePlan:
            return (<MessagePlan>plan).decode(data, choices, scaling, allow_truncated)
        return plan(data, choices, scaling, allow_truncated)


cdef list _ranges_of(pairs):
    """The (low, high) pairs as a list of what they promise to be. Raises OverflowError: beyond int64."""
    cdef int64_t first, last
    checked = []
    for low, high in pairs:
        first, last = PyNumber_Index(low), PyNumber_Index(high)
        checked.append((first, last))
    return checked


cdef uint8_t _how(factor, offset, bits, bint is_float) except 255:
    """cantools' own types: all integers give an integer, everything else a float."""
    if factor == 1 and offset == 0:
        return AS_IT_IS
    if is_float or not _whole(factor):
        return FLOATING
    exact = int(abs(factor)) << bits < _EXACT  # every raw * factor is a double
    if _whole(offset):
        return INTEGER if exact and abs(offset) < _EXACT else PYTHON
    # Python multiplies an int by an int exactly, whatever their size, and rounds once, at the sum.
    return PYTHON if isinstance(factor, int) and not exact else FLOATING


cdef bint _whole(number):
    return isinstance(number, int) or number.is_integer()


cdef object _plain(number, spec):
    """The int that cantools makes of 2.0 where the whole conversion is one of integers."""
    whole = spec["kind"] != "float" and _whole(spec["factor"]) and _whole(spec["offset"])
    return int(number) if whole else number
