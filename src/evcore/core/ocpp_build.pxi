# Included by ocpp.pyx: Python objects from a tape.

# For Decimals: what has no form is an error whatever the caller's own context says.
cdef object DIGITS = Context(traps=[InvalidOperation])

# A malloc failed inside ev_payload_read, which has no way to say so.
cdef bint no_memory = False


cdef double real(const uint8_t *text, size_t size) noexcept:
    """The nearest double of a number of any length. It is finite: the scanner has seen to that."""
    global no_memory
    cdef char small[64]
    cdef char *copy = &small[0] if size < sizeof(small) else <char *>PyMem_Malloc(size + 1)
    cdef double value
    if copy == NULL:
        no_memory = True
        return 0
    memcpy(copy, text, size)
    copy[size] = 0
    value = PyOS_string_to_double(copy, NULL, NULL)
    if copy != &small[0]:
        PyMem_Free(copy)
    return value


cdef int check_memory() except -1:
    """After each reading, or what failed in one would be told to the next."""
    global no_memory
    if no_memory:
        no_memory = False
        raise MemoryError
    return 0


cdef object number(const uint8_t *text, size_t size, bint exact):
    """A number with a fraction or exponent: Decimal with its digits, or the nearest float. Zero where the exponent of a
    zero, or of next to nothing, is beyond what a Decimal has."""
    cdef double value
    if exact:
        try:
            return Decimal(ascii(text, size), DIGITS)
        except InvalidOperation:
            return Decimal("-0.0" if text[0] == b"-" else "0.0")
    if not ev_json_real(text, size, &value):
        value = real(text, size)
        check_memory()
    return value


cdef object build(Source *source, const Place *place):
    """The value of the next entry, with all that it holds."""
    cdef const ev_tape *entry = source.at
    cdef const uint8_t *at = source.data + entry.at
    cdef uint8_t kind = entry.kind
    source.at += 1
    if kind == EV_TAPE_STRING:
        return text(at, entry.size, entry.flags)
    if kind == EV_TAPE_WORD:
        return <object>PyList_GET_ITEM(<object>source.wire, entry.size)
    if kind == EV_TAPE_OBJECT:
        return build_object(source, place, entry.size)
    if kind == EV_TAPE_ARRAY:
        return build_array(source, place, entry.size)
    if kind == EV_TAPE_INTEGER:
        return ev_json_integer(at, entry.size)
    if kind == EV_TAPE_REAL:
        return number(at, entry.size, source.exact or (source.paths != NULL and (<Decoder>source.paths)._is_exact(place)))
    if kind == EV_TAPE_NULL:
        return None
    return kind == EV_TAPE_TRUE


cdef dict build_object(Source *source, const Place *around, size_t count):
    cdef dict made = {}
    cdef Place place
    cdef object key
    cdef uint32_t name
    place.around = around
    for _ in range(count):
        name = source.at.key
        if source.at.kind == EV_TAPE_KEY:
            key = text(source.data + source.at.at, source.at.size, source.at.flags)
            place.name = <void *>key
            source.at += 1
        else:
            key = <object>PyList_GET_ITEM(<object>source.names, name)
            place.name = <void *>PyList_GET_ITEM(<object>source.wire, name)
        PyDict_SetItem(made, key, build(source, &place))
    return made


cdef list build_array(Source *source, const Place *place, size_t count):
    cdef list made = PyList_New(<Py_ssize_t>count)
    cdef object item
    for i in range(count):
        item = build(source, place)
        Py_INCREF(item)
        PyList_SET_ITEM(made, <Py_ssize_t>i, item)
    return made
