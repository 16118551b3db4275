# Registers to values; a part of modbus.pyx.

# In the order of ev_modbus_type.
TYPES = (
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bits", "float16",
    "bcd16", "bcd32", "bcd64", "string_low",
)
Value = int | float | str | bool | tuple[str, ...] | None  # what a point decodes to
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
cdef tuple WORDS = (1, 1, 2, 2, 4, 4, 2, 4, 0, 1, 1, 1, 2, 4, 0)
cdef tuple TEXTS = ("string", "string_low")


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

    offset: its first register, counted from the block's first. type: one of TYPES; string has two characters a register,
    string_low one, bcd a decimal digit in four bits. order: of the bytes of a 32-bit value, A the highest, and likewise
    of other sizes. scale, add: value = raw * scale + add; a scale such as 0.1 or "0.001" is taken as the decimal
    fraction that it looks like. missing: the integer, raw, that means "no value". length: registers of a text, or bits of
    a bit field. bit: its lowest bit, 0 to 15.
    scale_register: the register, counted as `offset`, of an int16 power of ten that scales too (SunSpec); while it is
    beyond -10..10 the value is missing. values: words for known numbers; an unknown number stays an int. flags: names of
    bits, 0 the lowest; the value is a tuple of those that are set, lowest first. Both of integers only, unscaled.
    """

    offset: int
    type: str
    order: str = "ABCD"
    scale: float | str | Fraction = 1
    add: float = 0.0
    missing: int | None = None
    length: int = 1
    bit: int = 0
    scale_register: int | None = None
    values: Mapping[int, str] | None = None
    flags: Mapping[int, str] | None = None


cdef class ReadRequest


cdef class Layout:
    """Points compiled for `decode`. request: the read whose replies `decode_into` checks; None: it takes register bytes.
    Raises ValueError (which point, what is wrong; a layout beyond the request's registers)."""

    cdef ev_modbus_point *points
    cdef list words  # a point's `values` as dict, its `flags` as tuple of names by bit, or None; no list if all are None
    cdef ReadRequest request
    cdef Py_ssize_t count
    cdef readonly int registers
    """Registers that a block must have for this layout."""

    def __cinit__(self, points, ReadRequest request=None):
        cdef list wanted = [Point(*point) for point in points]
        cdef list words = []
        self.count = len(wanted)
        self.points = <ev_modbus_point *>PyMem_Calloc(<size_t>self.count + 1, sizeof(ev_modbus_point))
        if self.points == NULL:
            raise MemoryError
        for i, point in enumerate(wanted):
            try:
                compile_point(point, &self.points[<Py_ssize_t>i])
                words.append(words_of(point, self.points[<Py_ssize_t>i].width))
            except (ValueError, ZeroDivisionError, OverflowError) as error:
                raise ValueError(f"point {i}: {error}") from None
        self.words = words if any(words) else None
        self.registers = <int>(ev_modbus_reach(self.points, <size_t>self.count) // 2)
        if request is not None and (request.function <= 2 or request.count < self.registers):
            raise ValueError(f"request: expected a read of at least {self.registers} registers, got {request!r}")
        self.request = request

    def __dealloc__(self):
        PyMem_Free(self.points)

    def __len__(self):
        return self.count

    def decode(self, data):
        """The values, one a point in the order given: int, float, str, bool, tuple (flags), or None where missing.

        data: register bytes, big-endian as on the wire. A float that is not finite is missing. Raises ValueError
        (data shorter than the layout).
        """
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.objects(<const uint8_t *>view.buf, <size_t>view.len)
        finally:
            PyBuffer_Release(&view)

    def decode_into(self, adu, out, valid, *, transaction_id=None):
        """Decode into memory that is there already, with no objects made; how many of the values are valid.

        adu: the RTU reply to the layout's request, checked first; with a transaction_id the TCP reply; register bytes for
        a layout without request. out: writable doubles (array("d"), numpy float64), valid: writable bytes, one each a
        point. What is missing, or a text, is NaN in `out` and 0 in `valid`; values and flags are their numbers.
        Raises ValueError (memory of another size or type, data shorter than the layout), InvalidReply and
        ModbusException as `Request.check`; nothing is written then.
        """
        cdef Py_buffer source, numbers, marks
        cdef int transaction = -1
        if transaction_id is not None:
            transaction = within("transaction_id", transaction_id, 0, 65535)
            if self.request is None:
                raise ValueError("transaction_id: this layout has no request to check a reply against")
        PyObject_GetBuffer(out, &numbers, PyBUF_WRITABLE | PyBUF_FORMAT)
        try:
            PyObject_GetBuffer(valid, &marks, PyBUF_WRITABLE)
            try:
                if numbers.len != 8 * self.count or numbers.format == NULL or not is_double(numbers.format):
                    raise ValueError(f"out: expected {self.count} doubles, got {numbers.len} bytes of another type")
                if marks.len != self.count:
                    raise ValueError(f"valid: expected {self.count} bytes, got {marks.len}")
                PyObject_GetBuffer(adu, &source, PyBUF_SIMPLE)
                try:
                    return self.fill(&source, transaction, numbers.buf, <uint8_t *>marks.buf)
                finally:
                    PyBuffer_Release(&source)
            finally:
                PyBuffer_Release(&marks)
        finally:
            PyBuffer_Release(&numbers)

    cdef Py_ssize_t fill(self, const Py_buffer *source, int transaction, void *out, uint8_t *valid) except -1:
        cdef ev_modbus_reply reply
        cdef const uint8_t *data = <const uint8_t *>source.buf
        cdef size_t size = <size_t>source.len
        cdef Py_ssize_t i, good = 0
        if self.request is not None:
            status = self.request.judge(source, transaction, &reply)
            if status != EV_MODBUS_OK:
                raise self.request.fault(status, &reply, data)
            data += reply.at
            size = reply.len
        if not ev_modbus_decode_doubles(data, size, self.points, <size_t>self.count, out, valid):
            raise ValueError(f"registers: expected {self.registers}, got {size // 2}")
        for i in range(self.count):
            good += valid[i]
        return good

    cdef list objects(self, const uint8_t *data, size_t size):
        # On the stack: what a garbage collection runs may use this layout too.
        cdef ev_modbus_value raw[64]
        cdef list result
        cdef object value
        cdef Py_ssize_t i
        if size < 2 * <size_t>self.registers:
            raise ValueError(f"registers: expected {self.registers}, got {size // 2}")
        result = PyList_New(self.count)
        for i in range(self.count):
            if i % 64 == 0:
                ev_modbus_decode(data, size, self.points + i, <size_t>min(64, self.count - i), raw)
            value = self.object_of(data, i, &raw[i % 64])
            Py_INCREF(value)
            PyList_SET_ITEM(result, i, value)
        return result

    cdef inline object object_of(self, const uint8_t *data, Py_ssize_t i, const ev_modbus_value *raw):
        cdef object number, words = None if self.words is None else self.words[i]
        if raw.kind == EV_MODBUS_REAL:
            return PyFloat_FromDouble(raw.as_.f)
        if words is not None and raw.kind != EV_MODBUS_NONE:
            if type(words) is tuple:
                return names_of(raw.as_.u, <tuple>words)
            if raw.kind == EV_MODBUS_SIGNED:
                number = PyLong_FromLongLong(raw.as_.i)
            else:
                number = PyLong_FromUnsignedLongLong(raw.as_.u)
            return (<dict>words).get(number, number)
        if raw.kind == EV_MODBUS_UNSIGNED:
            return PyLong_FromUnsignedLongLong(raw.as_.u)
        if raw.kind == EV_MODBUS_SIGNED:
            return PyLong_FromLongLong(raw.as_.i)
        if raw.kind == EV_MODBUS_FLAG:
            return raw.as_.u != 0
        if raw.kind == EV_MODBUS_TEXT:
            return text_of(data, &self.points[i])
        return None


cdef bint is_double(const char *format) noexcept:
    """As array and numpy write it."""
    if format[0] == b"@" or format[0] == b"=":
        format += 1
    return format[0] == b"d" and format[1] == 0


cdef tuple names_of(uint64_t raw, tuple names):
    cdef Py_ssize_t bit
    return tuple([names[bit] for bit in range(len(names)) if raw >> bit & 1 and names[bit] is not None])


cdef object text_of(const uint8_t *data, const ev_modbus_point *point):
    cdef char text[250]
    cdef size_t size = ev_modbus_text(data, point, text)
    return text[:size].decode("utf-8", "replace")


cdef object words_of(point, int width):
    """What object_of looks a number up in; None without `values` and `flags`. width: of a bit field."""
    if point.values is None and point.flags is None:
        return None
    name = "values" if point.flags is None else "flags"
    if point.values is not None and point.flags is not None:
        raise ValueError("values and flags: expected one of them")
    if point.type in TEXTS or "float" in point.type or (name == "flags" and point.type not in UNSIGNED):
        raise ValueError(f"{name}: expected an integer point, got type {point.type}")
    if point.scale != 1 or point.add != 0 or point.scale_register is not None:
        raise ValueError(f"{name}: expected an unscaled point")
    words = {PyNumber_Index(number): word for number, word in dict(getattr(point, name)).items()}
    for number, word in words.items():
        if not isinstance(word, str):
            raise ValueError(f"{name}: expected a text for {number}, got {word!r}")
    if name == "values":
        return words
    bits = width or int(point.type[4:])
    for number in words:
        within("flags", number, 0, bits - 1)
    return tuple([words.get(bit) for bit in range(bits)])


cdef tuple UNSIGNED = ("uint16", "uint32", "uint64", "bits")


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
    if point.missing is not None and point.type not in TEXTS:
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
    out.multiply, out.divide = scale.numerator, scale.denominator
    if scale != 1 or out.add != 0:
        out.flags |= EV_MODBUS_SCALED
    if point.scale_register is not None:
        if point.type in TEXTS:
            raise ValueError(f"scale_register: expected a number's type, got {point.type}")
        out.scale_at = within("scale_register", point.scale_register, 0, 65535)
        out.flags |= EV_MODBUS_SCALE_AT
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
