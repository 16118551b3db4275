# Values on their way out: judged by their nodes and written.

cdef enum:
    EXACT_DIGITS = 18    # of a Decimal that is within int64 and a double, whatever they are
    KNOWN_CLASSES = 1024 # dataclasses whose fields are remembered
    KEY_COPY = 32        # bytes of a name that are copied at once; so many may be read from each (EV_NAME_SLACK)
    KEY_MAX = 258        # bytes of a name with its quotes and colon

cdef dict field_names = {}  # dataclass -> names of its fields, None: not one


cdef tuple fields_of(object value):
    """The names of the fields of a dataclass instance; None for anything else."""
    cdef object kind = type(value)
    cdef PyObject *known = PyDict_GetItemWithError(field_names, kind)
    if known != NULL:
        return <tuple>known
    found = tuple([field.name for field in fields(kind)]) if hasattr(kind, "__dataclass_fields__") else None
    if len(field_names) >= KNOWN_CLASSES:
        field_names.clear()
    field_names[kind] = found
    return found


cdef bint has_format(const ev_schema_node *node, const uint8_t *text, size_t size):
    if node.flags & EV_NODE_DATE_TIME and not ev_format_date_time(text, size):
        return False
    return not node.flags & EV_NODE_URI or ev_format_uri(text, size)


cdef object no_form(object value):
    return TypeError(f"{type(value).__name__} has no form in JSON")


cdef str instant(object value):
    """RFC 3339 in UTC with at most three fraction digits (OCPP 2.0.1 Part 2, 2.1.4)."""
    if value.utcoffset() is None:
        raise TypeError("a datetime without a zone could mean any hour")
    try:
        value = value.astimezone(_UTC)
    except OverflowError:
        raise TypeError(f"{value!r} is beyond the calendar in UTC") from None
    return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")[:-6] + "Z"


@cython.final
cdef class _Writer(_Names):
    """Each method writes one value, or a part of one, and returns 1; 0 where it is given up because the schema says no, or
    may: who reads the message has to say.

    loose: in or below a dataclass. Indices name nodes; pointers to them are taken anew after anything that may run Python,
    for the tables grow (and move) when another thread meets a new message.
    """

    cdef int put(self, Out *out, uint32_t index, object value, bint loose) except -1:
        if out.nodes == 0:
            raise beyond("more values than the limit")
        out.nodes -= 1
        if PyUnicode_CheckExact(value):
            return self.put_text(out, index, value)
        if PyDict_CheckExact(value):
            return self.put_dict(out, index, <dict>value, loose)
        if PyList_CheckExact(value):
            return self.put_list(out, index, <list>value, loose)
        if PyLong_CheckExact(value):
            return self.put_integer(out, index, value)
        if PyFloat_CheckExact(value):
            return self.put_real(out, index, value)
        if value is True:
            return self.put_word(out, index, EV_TYPE_BOOLEAN, b"true")
        if value is False:
            return self.put_word(out, index, EV_TYPE_BOOLEAN, b"false")
        if value is None:
            return self.put_word(out, index, EV_TYPE_NULL, b"null")
        return self.put_other(out, index, value, loose)

    cdef int put_other(self, Out *out, uint32_t index, object value, bint loose) except -1:
        """What is not JSON's own, by what it stands for."""
        cdef tuple names
        if PyUnicode_Check(value):
            return self.put_text(out, index, value)
        if isinstance(value, Enum):
            if isinstance(value.value, Enum):
                raise no_form(value)
            out.nodes += 1
            return self.put(out, index, value.value, loose)
        if isinstance(value, tuple):
            return self.put_list(out, index, list(value), loose)
        names = fields_of(value)
        if names is not None:
            return self.put_fields(out, index, value, names)
        if isinstance(value, Decimal):
            return self.put_decimal(out, index, value)
        if isinstance(value, datetime):
            return self.put_text(out, index, instant(value))
        if isinstance(value, Mapping):
            return self.put_dict(out, index, dict(value), loose)
        if PyLong_Check(value):
            return self.put_integer(out, index, value)
        if PyFloat_Check(value):
            return self.put_real(out, index, value)
        if isinstance(value, list):
            return self.put_list(out, index, list(value), loose)
        raise no_form(value)

    cdef int put_word(self, Out *out, uint32_t index, unsigned type, bytes word) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(word)
        if out.judging and not self.tables.schema.nodes[index].types & type:
            return 0
        reserve(out, <size_t>size)
        memcpy(out.at, PyBytes_AS_STRING(word), <size_t>size)
        out.at += size
        return 1

    cdef int put_text(self, Out *out, uint32_t index, object value) except -1:
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value)
        if PyUnicode_IS_COMPACT_ASCII(value):
            return self.put_utf8(out, index, value, PyUnicode_1BYTE_DATA(value), size, size)
        return self.put_wide(out, index, value)

    cdef int put_wide(self, Out *out, uint32_t index, object value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *text
        try:
            text = PyUnicode_AsUTF8AndSize(value, &size)
        except UnicodeEncodeError:
            raise TypeError("half a surrogate pair has no form in JSON") from None
        return self.put_utf8(out, index, value, <const uint8_t *>text, size, PyUnicode_GET_LENGTH(value))

    cdef inline int put_utf8(self, Out *out, uint32_t index, object value, const uint8_t *text, Py_ssize_t size,
                             Py_ssize_t points) except -1:
        cdef const ev_schema_node *node
        if out.judging:
            node = &self.tables.schema.nodes[index]
            if points > node.high or points < node.low or not node.types & EV_TYPE_STRING:
                return 0
            if node.flags & EV_NODE_WORDS:
                if not self.has_word(index, <PyObject *>value, text, <size_t>size):
                    return 0
            elif out.formats and node.flags and not has_format(node, text, <size_t>size):
                return 0
        if <size_t>size > out.size:
            raise beyond("longer than the limit")
        reserve(out, ev_json_text_room(<size_t>size))
        out.at = ev_json_put_text(out.at, text, <size_t>size)
        return 1

    # ---- numbers ----

    cdef int put_integer(self, Out *out, uint32_t index, object value) except -1:
        cdef const ev_schema_node *node = &self.tables.schema.nodes[index]
        cdef int overflow = 0
        cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            raise FrameError("int64", "an integer of more than 64 bits")
        if out.judging:
            if not node.types & (EV_TYPE_INTEGER | EV_TYPE_NUMBER):
                return 0
            if node.flags & EV_NODE_BOUNDED and not node.minimum <= <double>number <= node.maximum:
                return 0
        reserve(out, EV_JSON_INTEGER_MAX)
        out.at = ev_json_put_integer(out.at, number)
        return 1

    cdef int put_real(self, Out *out, uint32_t index, object value) except -1:
        cdef const ev_schema_node *node = &self.tables.schema.nodes[index]
        cdef double number = PyFloat_AS_DOUBLE(value)
        cdef int tenths = 0
        cdef uint8_t *end
        if not isfinite(number):
            if index == 0:
                raise TypeError(f"{float(value)} has no form in JSON")
            return 0 if out.judging else self.put_word(out, index, EV_TYPE_NULL, b"null")
        if out.judging:
            if not node.types & EV_TYPE_NUMBER:
                if not node.types & EV_TYPE_INTEGER or not node.flags & EV_NODE_INTEGRAL or floor(number) != number:
                    return 0
            if node.flags & EV_NODE_BOUNDED and not node.minimum <= number <= node.maximum:
                return 0
        reserve(out, EV_JSON_REAL_MAX)
        end = ev_json_put_real(out.at, number, &tenths)
        if end == NULL:
            if out.judging and node.flags & EV_NODE_TENTH:
                return 0
            return self.put_ascii(out, float.__repr__(value))
        if out.judging and node.flags & EV_NODE_TENTH and not tenths:
            return 0
        out.at = end
        return 1

    cdef int put_decimal(self, Out *out, uint32_t index, object value) except -1:
        """With its digits. One whose size or digits matter to the judge is left to a reader."""
        cdef const ev_schema_node *node
        cdef str text
        if not Decimal.is_finite(value):
            raise no_form(value)
        text = Decimal.__str__(value)
        node = &self.tables.schema.nodes[index]
        if out.judging:
            if not node.types & EV_TYPE_NUMBER or node.flags & (EV_NODE_BOUNDED | EV_NODE_TENTH):
                return 0
            if len(text) > EXACT_DIGITS or "E" in text:
                return 0
        return self.put_ascii(out, text)

    cdef int put_ascii(self, Out *out, str text) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *bytes_ = PyUnicode_AsUTF8AndSize(text, &size)
        if <size_t>size > out.size:
            raise beyond("longer than the limit")
        reserve(out, <size_t>size)
        memcpy(out.at, bytes_, <size_t>size)
        out.at += size
        return 1

    # ---- containers ----

    cdef int put_list(self, Out *out, uint32_t index, list items, bint loose) except -1:
        cdef const ev_schema_node *node = &self.tables.schema.nodes[index]
        cdef Py_ssize_t at = 0, count = PyList_GET_SIZE(items)
        cdef uint32_t inner = node.items
        if out.judging and (not node.types & EV_TYPE_ARRAY or not node.low <= <size_t>count <= node.high):
            return 0
        self.begin(out, c'[')
        while at < PyList_GET_SIZE(items):
            item = items[at]
            if not self.put(out, inner, item, loose):
                return 0
            out.at[0] = c','
            out.at += 1
            at += 1
        if at != count:
            raise RuntimeError("the list changed while it was written")
        self.end(out, c']')
        return 1

    cdef int begin(self, Out *out, uint8_t bracket) except -1:
        if out.depth == 0:
            raise beyond("nested deeper than the limit")
        out.depth -= 1
        reserve(out, 1)
        out.at[0] = bracket
        out.at += 1
        return 0

    cdef inline int end(self, Out *out, uint8_t bracket) except -1:
        """Over the last comma, if there is one."""
        if out.at[-1] == c',':
            out.at -= 1
        reserve(out, 1)
        out.at[0] = bracket
        out.at += 1
        out.depth += 1
        return 0

    cdef int put_dict(self, Out *out, uint32_t index, dict value, bint loose) except -1:
        cdef const ev_schema_node *node = &self.tables.schema.nodes[index]
        cdef Members members
        cdef Py_ssize_t place = 0, count = PyDict_Size(value)
        cdef PyObject *key
        cdef PyObject *member
        if out.judging and not node.types & EV_TYPE_OBJECT:
            return 0
        # customData, and what else the schema leaves open, passes as it is.
        members.node, members.loose = index, loose and node.flags & EV_NODE_CLOSED
        members.first = members.guess = node.hints
        members.required, members.seen = node.required, 0
        self.begin(out, c'{')
        while PyDict_Next(value, &place, &key, &member):
            if member == <PyObject *>None and members.loose:
                continue
            if not self.put_member(out, &members, key, member):
                return 0
        if count != PyDict_Size(value):
            raise RuntimeError("the mapping changed while it was written")
        if out.judging and members.required & ~members.seen:
            return 0
        self.end(out, c'}')
        return 1

    cdef int put_fields(self, Out *out, uint32_t index, object value, tuple names) except -1:
        """A dataclass: its fields that are not None."""
        cdef const ev_schema_node *node = &self.tables.schema.nodes[index]
        cdef Members members
        if out.judging and not node.types & EV_TYPE_OBJECT:
            return 0
        members.node, members.loose, members.first, members.guess = index, True, node.hints, node.hints
        members.required, members.seen = node.required, 0
        self.begin(out, c'{')
        for name in names:
            member = getattr(value, name)
            if member is not None and not self.put_member(out, &members, <PyObject *>name, <PyObject *>member):
                return 0
        if out.judging and members.required & ~members.seen:
            return 0
        self.end(out, c'}')
        return 1

    cdef inline int put_member(self, Out *out, Members *members, PyObject *key, PyObject *value) except -1:
        """One member and a comma. key and value are borrowed; they are held where Python may run."""
        cdef Guess *expected = &self.guesses[members.guess]
        if key == expected.key or same_text(key, expected.key):
            return self.put_expected(out, members, value)
        return self.put_unexpected(out, members, key, value)

    cdef inline int put_expected(self, Out *out, Members *members, PyObject *value) except -1:
        cdef Guess *expected = &self.guesses[members.guess]
        cdef uint64_t bit = <uint64_t>1 << expected.place
        cdef uint32_t inner = expected.node
        if members.seen & bit:
            raise TypeError(f"{<object>expected.key} is there under another name too")
        members.seen |= bit
        members.guess = members.first + expected.place + 1
        reserve(out, KEY_MAX)
        if expected.len <= KEY_COPY:
            memcpy(out.at, self.tables.schema.text + expected.text, KEY_COPY)
        else:
            memcpy(out.at, self.tables.schema.text + expected.text, expected.len)
        out.at += expected.len
        if PyUnicode_CheckExact(<object>value) and out.nodes > 0:
            out.nodes -= 1
            if not self.put_text(out, inner, <object>value):
                return 0
        elif not self.put_held(out, inner, value, members.loose):
            return 0
        out.at[0] = c','
        out.at += 1
        return 1

    cdef int put_held(self, Out *out, uint32_t index, PyObject *value, bint loose) except -1:
        cdef object held = <object>value
        return self.put(out, index, held, loose)

    cdef int put_unexpected(self, Out *out, Members *members, PyObject *key, PyObject *value) except -1:
        cdef object name = <object>key
        cdef object held = <object>value
        if not self.look_up(name, members):
            return self.put_stranger(out, members.node, name, held)
        return self.put_expected(out, members, <PyObject *>held)

    cdef int put_stranger(self, Out *out, uint32_t index, object key, object value) except -1:
        """A member that the schema does not know."""
        if out.judging and self.tables.schema.nodes[index].flags & EV_NODE_CLOSED:
            return 0
        self.put_text(out, 0, key)
        out.at[0] = c':'
        out.at += 1
        if not self.put(out, 0, value, False):
            return 0
        out.at[0] = c','
        out.at += 1
        return 1
