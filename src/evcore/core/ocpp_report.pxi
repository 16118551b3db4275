# Included by ocpp.pyx: what is wrong with a message, only reached when something is.

# In the order of ev_ocpp_status.
DETAILS = (
    "",
    "not a JSON document",
    "not UTF-8, or half a surrogate pair",
    "a number too large for a double",
    "longer than the limit",
    "nested deeper than the limit",
    "more values than the limit",
    "an integer of more than 64 bits",
    "expected an array",
    "expected a message type known to this version",
    "expected a string as message id",
    "an id has 1 to 36 characters, an action 1 to 64",
    "too few or too many elements for its type",
    "expected a string as action",
    "expected an object or null as payload",
    "expected two strings and an object: code, description, details",
)

# In the order of ev_rule: keywords of JSON Schema.
RULES = ("", "type", "enum", "maxLength", "minLength", "format", "minimum", "maximum", "multipleOf", "minItems",
         "maxItems", "required", "additionalProperties")

cdef tuple TYPES = (
    (EV_TYPE_OBJECT, "object"),
    (EV_TYPE_ARRAY, "array"),
    (EV_TYPE_STRING, "string"),
    (EV_TYPE_NUMBER, "number"),
    (EV_TYPE_INTEGER, "integer"),
    (EV_TYPE_BOOLEAN, "boolean"),
    (EV_TYPE_NULL, "null"),
)


cdef int borrow(object data, size_t most, Py_buffer *view) except -1:
    """The bytes of `data` as view.buf and view.len, to be given back with PyBuffer_Release. str: its UTF-8.

    What others may write into while it is read (a bytearray that a thread receives into, memory of several processes) is
    copied: a tape only holds for the bytes that it was made of.
    """
    cdef Py_ssize_t size = 0
    cdef const char *utf8
    if type(data) is not bytes and not isinstance(data, str):
        PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
        if <size_t>view.len > most:  # refused for its size, unread
            return 0
        try:
            data = PyBytes_FromStringAndSize(<const char *>view.buf, view.len)
        finally:
            PyBuffer_Release(view)
    if type(data) is bytes:
        return PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
    try:
        utf8 = PyUnicode_AsUTF8AndSize(data, &size)
    except UnicodeEncodeError as error:
        where = len((<str>data)[:error.start].encode())
        raise FrameError("utf8", "half a surrogate pair", where=where) from None
    return PyBuffer_FillInfo(view, data, <void *>utf8, size, 1, PyBUF_SIMPLE)


cdef str action_name(object action, str id):
    """The name given as `action`: a str, an enum that is one (`ocpp.v16.enums.Action`), a mapping from ids; or None."""
    if action is None or type(action) is str:
        return action
    if not isinstance(action, str):
        if not hasattr(action, "get"):
            raise TypeError(f"action: expected str, a mapping or None, got {type(action).__name__}")
        action = action.get(id)
        if action is not None and not isinstance(action, str):
            raise TypeError(f"action: expected a mapping to str, got {type(action).__name__} in it")
    return None if action is None else PyUnicode_FromObject(action)


cdef object frame_error(ev_ocpp_status status, const uint8_t *bytes_, const ev_ocpp_frame *parts, size_t at):
    return FrameError(ev_ocpp_reason(status).decode(), DETAILS[status], where=at, id=token(bytes_, parts.id),
                      type=parts.type or None)


cdef int read_texts(Frame frame, const uint8_t *bytes_, const ev_ocpp_frame *parts) except -1:
    """What a frame says of itself, from its parts."""
    frame.id, frame.action = token(bytes_, parts.id), token(bytes_, parts.action)
    if parts.code.len != 0:
        frame._error = [token(bytes_, parts.code), token(bytes_, parts.description), None]
    frame._start, frame._end = <Py_ssize_t>parts.payload.at, <Py_ssize_t>(parts.payload.at + parts.payload.len)
    return 0


cdef dict exact_paths(paths):
    """last step -> [(the steps before it, last first; does the path begin at the payload)]"""
    found = {}
    for path in paths:
        if not isinstance(path, str):
            raise ValueError(f"exact: expected paths as str, got {type(path).__name__}")
        steps = path.removeprefix("/").split("/")
        if not all(steps):
            raise ValueError(f"exact: expected names with / between them, got {path!r:.80}")
        found.setdefault(steps[-1], []).append((tuple(steps[-2::-1]), path.startswith("/")))
    return found


cdef int write(object value, list out) except -1:
    """A value that was decoded with Decimals as JSON again, each name once, numbers by their digits."""
    if isinstance(value, dict):
        out.append("{")
        for i, (name, member) in enumerate((<dict>value).items()):
            out.append(f",{encode_string(name)}:" if i else f"{encode_string(name)}:")
            write(member, out)
        out.append("}")
    elif isinstance(value, list):
        out.append("[")
        for i, item in enumerate(<list>value):
            if i:
                out.append(",")
            write(item, out)
        out.append("]")
    elif isinstance(value, str):
        out.append(encode_string(value))
    elif value is None or isinstance(value, bool):
        out.append("null" if value is None else "true" if value else "false")
    else:
        number = str(value)
        if isinstance(value, Decimal) and number.lstrip("-").isdigit():
            number += ".0"  # it was 1e0, say, and draft 4 takes that for no integer
        out.append(number)
    return 0


cdef list type_names(unsigned types):
    return [name for bit, name in TYPES if types & <unsigned>bit and not (bit == EV_TYPE_INTEGER and
                                                                          types & EV_TYPE_NUMBER)]
