# cython: language_level=3, embedsignature=True, freethreading_compatible=False
"""OCPP-J frames, the seam: bytes in, Python objects out. The contract is native/include/evcore/ocpp.h."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memchr

from evcore.errors import FrameError

cdef extern from "evcore/json.h" nogil:
    size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len)

cdef extern from "evcore/ocpp.h" nogil:
    ctypedef enum ev_ocpp_status:
        EV_OCPP_OK
    ctypedef struct ev_ocpp_rules:
        size_t max_size
        unsigned max_depth
        unsigned types
    ctypedef struct ev_span:
        size_t at
        size_t len
    ctypedef struct ev_ocpp_frame:
        unsigned type
        ev_span id
        ev_span action
        ev_span code
        ev_span description
        ev_span payload
    ev_ocpp_status ev_ocpp_scan(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                                size_t *at)
    const char *ev_ocpp_reason(ev_ocpp_status status)


@cython.final
@cython.freelist(64)
cdef class Frame:
    """One OCPP-J message.

    type: 2 CALL, 3 CALLRESULT, 4 CALLERROR, 5 CALLRESULTERROR, 6 SEND. id: the message id, 1 to 36 characters.
    action: of a CALL or SEND; of a CALLRESULT once it was decoded with the call's action. payload: None until decoded.
    payload_span: (start, end) of the payload, or of an error's details, in the bytes scanned (of a str: in its UTF-8).
    error_code, error_description, error_details: of a CALLERROR or CALLRESULTERROR, otherwise None.
    repairs: what the lenient mode mended (`evcore.ocpp.repairs.Repair`), () if nothing. mended: the whole message as it
    was then understood, to which payload_span refers; None if it was as received.
    Source: OCPP-J 1.6, 4.2; OCPP 2.1 Part 4, 4.2.
    """

    cdef readonly int type
    cdef readonly str id
    cdef public str action
    cdef public object payload
    cdef readonly tuple payload_span
    cdef readonly str error_code
    cdef readonly str error_description
    cdef public object error_details
    cdef public bytes mended
    cdef tuple _repairs

    __match_args__ = ("type", "id", "action", "payload")

    def __init__(self, int type, str id not None, str action=None, payload=None, tuple payload_span=None, *,
                 str error_code=None, str error_description=None, error_details=None):
        self.type, self.id, self.action, self.payload, self.payload_span = type, id, action, payload, payload_span
        self.error_code, self.error_description = error_code, error_description
        self.error_details = error_details

    @property
    def repairs(self):
        return () if self._repairs is None else self._repairs

    @repairs.setter
    def repairs(self, tuple repairs):
        self._repairs = repairs

    def _fields(self):
        return (self.type, self.id, self.action, self.payload, self.payload_span, self.error_code,
                self.error_description, self.error_details)

    def __eq__(self, other):
        return self._fields() == (<Frame>other)._fields() if isinstance(other, Frame) else NotImplemented

    __hash__ = None

    def __repr__(self):
        error = f", error_code={self.error_code!r}" if self.error_code is not None else ""
        return f"Frame(type={self.type}, id={self.id!r}, action={self.action!r}{error})"


cdef str text(const uint8_t *data, ev_span span):
    """A string token without its quotes and escapes; None where there is none."""
    cdef size_t length = 0
    cdef bytes out
    if span.len == 0:
        return None
    if memchr(data + span.at, c'\\', span.len) == NULL:
        return PyUnicode_DecodeUTF8(<const char *>data + span.at + 1, <Py_ssize_t>span.len - 2, "strict")
    out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>span.len)
    ev_json_text(data + span.at, span.len, <uint8_t *>PyBytes_AS_STRING(out), &length)
    return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(out), <Py_ssize_t>length, "strict")


cdef Frame build(const uint8_t *data, const ev_ocpp_frame *parts):
    cdef Frame frame = Frame.__new__(Frame)
    frame.type = <int>parts.type
    frame.id = text(data, parts.id)
    frame.action = text(data, parts.action)
    frame.error_code = text(data, parts.code)
    frame.error_description = text(data, parts.description)
    frame.payload_span = (parts.payload.at, parts.payload.at + parts.payload.len)
    return frame


def scan(data, size_t max_size=65536, unsigned max_depth=32, unsigned types=0b1111100):
    """Return the parts of one OCPP-J message, every byte of it checked, its payload not built.

    data: bytes-like, one whole message; str is taken as its UTF-8. max_size: bytes. max_depth: open brackets, 1024 at
    most. types: bit t set, type t is known.
    Raises FrameError: reason is one of the words of ev_ocpp_reason, where the byte offset, type and id what could still
    be read. TypeError (neither bytes-like nor str).
    Source: OCPP-J 1.6, 4.2; OCPP 2.1 Part 4, 4.2; RFC 8259.
    """
    cdef Py_buffer view
    cdef ev_ocpp_rules rules
    cdef ev_ocpp_frame parts
    cdef ev_ocpp_status status
    cdef size_t at = 0
    cdef const uint8_t *bytes_
    if isinstance(data, str):
        try:
            data = (<str>data).encode()
        except UnicodeEncodeError as error:
            raise FrameError("utf8", "half a surrogate pair", where=len((<str>data)[:error.start].encode())) from None
    rules.max_size, rules.max_depth, rules.types = max_size, max_depth, types
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        bytes_ = <const uint8_t *>view.buf
        status = ev_ocpp_scan(bytes_, <size_t>view.len, &rules, &parts, &at)
        if status == EV_OCPP_OK:
            return build(bytes_, &parts)
        raise FrameError(ev_ocpp_reason(status).decode(), DETAILS[status], where=at, id=text(bytes_, parts.id),
                         type=parts.type or None)
    finally:
        PyBuffer_Release(&view)


# In the order of ev_ocpp_status.
DETAILS = (
    "",
    "not a JSON document",
    "not UTF-8, or half a surrogate pair",
    "a number too large for a double",
    "longer than the limit",
    "nested deeper than the limit",
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
