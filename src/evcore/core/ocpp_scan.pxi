# Included by ocpp.pyx: what needs no version and no schema.


def is_date_time(str text not None):
    """Is it a date-time of RFC 3339, 5.6, of a day that exists? What the codecs with `formats` ask."""
    cdef Py_ssize_t size = 0
    cdef const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size)
    return ev_format_date_time(<const uint8_t *>utf8, <size_t>size)


def is_uri(str text not None):
    """Is it a URI of RFC 3986, 3, with its scheme? What the codecs with `formats` ask."""
    cdef Py_ssize_t size = 0
    cdef const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size)
    return ev_format_uri(<const uint8_t *>utf8, <size_t>size)


def scan(data, size_t max_size=65536, unsigned max_depth=32, unsigned types=TYPES_ALL, size_t max_nodes=65536):
    """Return the parts of one OCPP-J message, every byte of it checked, its payload not built.

    data: bytes-like, one whole message; str is taken as its UTF-8. max_size: bytes. max_depth: open brackets, 1024 at
    most. types: bit t set, type t is known. max_nodes: values.
    Raises FrameError: reason is one of the words of ev_ocpp_reason, where the byte offset, type and id what could still
    be read. TypeError (neither bytes-like nor str).
    Source: OCPP-J 1.6, 4.2; OCPP 2.1 Part 4, 4.2; RFC 8259.
    """
    cdef Py_buffer view
    cdef ev_ocpp_rules rules
    cdef ev_ocpp_frame parts
    cdef size_t at = 0
    cdef ev_ocpp_status status
    cdef Frame frame
    rules.max_size, rules.max_nodes, rules.max_depth, rules.types = max_size, max_nodes, max_depth, types
    borrow(data, max_size, &view)
    try:
        status = ev_ocpp_scan(<const uint8_t *>view.buf, <size_t>view.len, &rules, &parts, &at)
        if status != EV_OCPP_OK:
            raise frame_error(status, <const uint8_t *>view.buf, &parts, at)
        frame = Frame.__new__(Frame)
        frame.type = <int>parts.type
        read_texts(frame, <const uint8_t *>view.buf, &parts)
        return frame
    finally:
        PyBuffer_Release(&view)
