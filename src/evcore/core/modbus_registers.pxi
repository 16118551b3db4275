# Registers to values; a part of modbus.pyx.

# In the order of ev_modbus_type.
TYPES = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bits")
Value = int | float | str | bool | None  # what a point decodes to
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
cdef tuple WORDS = (1, 1, 2, 2, 4, 4, 2, 4, 0, 1)


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


def unpack_bits(data, count):
    """The first `count` coils or inputs of a reply's data bytes, lowest bit first (V1.1b3, 6.1), to a list of bool.

    Raises ValueError (data shorter than count bits)."""
    number = PyNumber_Index(count)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= number <= 8 * <object>view.len:  # as Python ints: in C it is too much for 32 bits
            raise ValueError(f"count: expected 0..{8 * <object>view.len}, got {number}")
        return bits_from(<const uint8_t *>view.buf, number)
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
    cdef ev_modbus_value *scratch  # shared by all calls: see `values`
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
        # From here to the last value no other code may run, as it might use this layout too: int, float and str only,
        # which never start a garbage collection, and the GIL is held.
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
    words = WORDS[kind] or within("length", point.length, 1, 125)
    out.type, out.words, out.offset = kind, words, within("offset", point.offset, 0, 65536 - words)
    if point.order in ("CDAB", "DCBA"):
        out.flags |= EV_MODBUS_WORDS_LITTLE
    if point.order in ("BADC", "DCBA"):
        out.flags |= EV_MODBUS_BYTES_LITTLE
    if point.type == "bits":
        out.bit = within("bit", point.bit, 0, 15)
        out.width = within("length", point.length, 1, 16 - out.bit)
    if point.missing is not None and point.type != "string":
        limit = 1 << (16 * words)
        missing = PyNumber_Index(point.missing)
        if not -(limit // 2) <= missing < limit:
            raise ValueError(f"missing: expected an integer of {16 * words} bits, got {missing}")
        out.missing = missing % limit
        out.flags |= EV_MODBUS_MISSING
    scale = fraction_of(str(point.scale))
    out.add = point.add
    if not isfinite(out.add):
        raise ValueError(f"add: expected a number, got {point.add}")
    if scale != 1 or out.add != 0:
        out.flags |= EV_MODBUS_SCALED
        out.multiply, out.divide = scale.numerator, scale.denominator
    return 0


cdef object fraction_of(str text):
    """The fraction that `text` stands for. An exponent of millions is refused: its power of ten would fill memory."""
    exponent = text.lower().partition("e")[2].strip().lstrip("+-").lstrip("0")
    if len(text) > 400 or len(exponent) > 3:
        raise ValueError(f"scale: expected a number that a double can hold, got {text[:40]}")
    return Fraction(text)


def decode_registers(data, Layout layout not None):
    """`layout.decode(data)`: register bytes, big-endian as on the wire, to a list of values."""
    return layout.decode(data)
