# cython: language_level=3, embedsignature=True, freethreading_compatible=False
"""OCPP-J messages, the seam: Python payloads in, bytes out; judged by the same tables as what comes in, on the way.

The contracts are native/include/evcore/{schema,json_write}.h. The writer only finds that a payload does not pass, or may
not; what to say of it is left to the reader of the bytes, so that there is one place that words a violation.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact, PyDict_GetItemWithError, PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_Check, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check, PyUnicode_CheckExact, PyUnicode_GET_LENGTH
from libc.math cimport floor, isfinite
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from evcore.core.ocpp cimport (
    EV_OCPP_CALL,
    EV_OCPP_CALLRESULT,
    EV_OCPP_ID_MAX,
    EV_OCPP_SEND,
    Decoder,
    ev_format_date_time,
    ev_format_uri,
    kind_of,
)
from evcore.core.ocpp_schema cimport (
    EV_NODE_BOUNDED,
    EV_NODE_CLOSED,
    EV_NODE_DATE_TIME,
    EV_NODE_INTEGRAL,
    EV_NODE_TENTH,
    EV_NODE_URI,
    EV_NODE_WORDS,
    EV_TYPE_ARRAY,
    EV_TYPE_BOOLEAN,
    EV_TYPE_INTEGER,
    EV_TYPE_NULL,
    EV_TYPE_NUMBER,
    EV_TYPE_OBJECT,
    EV_TYPE_STRING,
    REQUEST,
    RESPONSE,
    SEND,
    Tables,
    ev_schema_find,
    ev_schema_member,
    ev_schema_node,
)

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC as _UTC
from datetime import datetime
from decimal import Decimal
from enum import Enum

from evcore.core.ocpp_schema import KINDS as _KINDS
from evcore.errors import FrameError

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t *PyUnicode_1BYTE_DATA(object text)
    PyObject *borrow_item "PyList_GET_ITEM"(object items, Py_ssize_t at)
    str PyUnicode_FromObject(object text)

cdef extern from "evcore/json_write.h" nogil:
    enum:
        EV_JSON_INTEGER_MAX
        EV_JSON_REAL_MAX
    size_t ev_json_text_room(size_t len)
    uint8_t *ev_json_put_text(uint8_t *out, const uint8_t *text, size_t len)
    uint8_t *ev_json_put_integer(uint8_t *out, int64_t value)
    uint8_t *ev_json_put_real(uint8_t *out, double value, int *tenths)

include "ocpp_encode_names.pxi"
include "ocpp_encode_out.pxi"
include "ocpp_encode_values.pxi"

cdef dict writers = {}  # Tables -> _Writer


cdef _Writer writer_of(Tables tables):
    found = writers.get(tables)
    if found is None:
        found = writers[tables] = _Writer(tables)
    return found


cdef class Encoder(Decoder):
    """A Decoder that writes messages too. Limits and formats are those of the Decoder.

    payload: a mapping with wire or snake names, or a dataclass; in it also lists, tuples, enums, datetimes with a zone,
    Decimals. What is None in a dataclass, or in a mapping below one, is left out. Where the schema names no members
    (customData) names and values are written as they are.
    Raises FrameError: reason idtype or length (the id), utf8, limit, int64; TypeError for what has no form in JSON.
    """

    cdef _Writer _writer

    def __init__(self, Tables tables not None, unsigned types, limits, *, judge="strict", exact=False,
                 bint formats=False):
        Decoder.__init__(self, tables, types, limits, judge=judge, exact=exact, formats=formats)
        self._writer = writer_of(tables)

    def encode_call(self, id, action, payload):
        """A CALL. payload: a mapping with wire or snake names, or a dataclass such as `ocpp.v16.call.Heartbeat()`.

        Decimals keep their digits; datetimes need a zone and are sent in UTC, with milliseconds at most. What goes out is
        judged as what comes in: raises PayloadError, FrameError; TypeError for what JSON has no form of.
        """
        return self._encode(EV_OCPP_CALL, REQUEST, id, action, payload)

    def encode_result(self, id, action, payload):
        """A CALLRESULT to a call of `action`. Payload and errors as `encode_call`."""
        return self._encode(EV_OCPP_CALLRESULT, RESPONSE, id, action, payload)

    def encode_send(self, id, action, payload):
        """A SEND (2.1 only: PayloadError "NotImplemented" otherwise). Payload and errors as `encode_call`."""
        return self._encode(EV_OCPP_SEND, SEND, id, action, payload)

    def unjudged(self, int type, id, str action not None, payload):
        """A CALL (2), CALLRESULT (3) or SEND (6) whatever its schema says, and the offset of its payload.

        Names are mapped where the schema has them. A number that is not finite becomes null where it has a rule for it.
        """
        cdef int kind = kind_of(type)
        cdef _Head head
        cdef bytes tail
        self._made()
        head = self._writer.head(kind, action)
        if head is None:
            tail = b"," if kind == RESPONSE else b"," + self._string(action) + b","
        else:
            tail = head.tail
        message = self._write(type, id, tail, 0 if head is None else head.root, payload, False)
        return message, 3 + len(self._string(id)) + len(tail)

    def error_message(self, int type, id, str code not None, str description not None, details):
        """A CALLERROR (4) or CALLRESULTERROR (5)."""
        return self._write(type, id, b",%s,%s," % (self._string(code), self._string(description)), 0, details, False)

    def reconsider(self, int type, id, action, payload):
        """Called by `encode_*` where the payload does not pass, or may not, or the version does not know the action.
        Returns the message or raises."""
        raise NotImplementedError

    cdef object _encode(self, int type, int kind, object id, object action, object payload):
        cdef _Head head
        if not PyUnicode_Check(action):
            raise TypeError(f"action: expected str, got {action.__class__.__name__}")
        self._made()
        head = self._writer.head(kind, action)
        if head is not None:
            message = self._write(type, id, head.tail, head.root, payload, True)
            if message is not None:
                return message
        return self.reconsider(type, id, PyUnicode_FromObject(action), payload)

    cdef inline int _made(self) except -1:
        """Was it made by `__init__`, not by `__new__` alone?"""
        if self._writer is None:
            raise TypeError("a codec without tables: __init__ was not called")
        return 0

    cdef bytes _string(self, object text):
        """A JSON string of any str."""
        cdef Out out
        cdef bint mine
        self._made()
        if not PyUnicode_Check(text):
            raise FrameError("idtype", "expected a string as message id")
        mine = open_out(&out)
        try:
            out.size, out.judging = self.rules.max_size, False
            self._writer.put_text(&out, 0, text)
            return PyBytes_FromStringAndSize(<char *>out.start, out.at - out.start)
        finally:
            close_out(&out, mine)

    cdef object _write(self, int type, object id, bytes tail, uint32_t root, object payload, bint judging):
        """The message; None: given up. tail: what follows the id, up to the payload."""
        cdef Out out
        cdef bint mine
        if not PyUnicode_Check(id):
            raise FrameError("idtype", "expected a string as message id", type=type)
        if not 1 <= PyUnicode_GET_LENGTH(id) <= EV_OCPP_ID_MAX:
            raise FrameError("length", "an id has 1 to 36 characters", type=type)
        mine = open_out(&out)
        try:
            out.size, out.judging, out.formats = self.rules.max_size, judging, self.formats
            self._begin(&out, type, id, tail)
            if not self._writer.put(&out, root, payload, False):
                return None
            reserve(&out, 1)
            out.at[0] = c']'
            out.at += 1
            if <size_t>(out.at - out.start) > out.size:
                raise beyond("longer than the limit")
            return PyBytes_FromStringAndSize(<char *>out.start, out.at - out.start)
        except FrameError as error:
            error.id, error.type = id, type
            raise
        finally:
            close_out(&out, mine)

    cdef int _begin(self, Out *out, int type, object id, bytes tail) except -1:
        cdef size_t size = <size_t>PyBytes_GET_SIZE(tail)
        # The frame's array and its elements before the payload.
        cdef size_t before = 3 if type == EV_OCPP_CALLRESULT else 4 if type == EV_OCPP_CALL or type == EV_OCPP_SEND else 5
        if self.rules.max_nodes < before:
            raise beyond("more values than the limit")
        out.nodes, out.depth = self.rules.max_nodes - before, self.rules.max_depth - 1
        reserve(out, 3)
        out.at[0], out.at[1], out.at[2] = c'[', <uint8_t>(c'0' + type), c','
        out.at += 3
        try:
            self._writer.put_text(out, 0, id)
        except TypeError:
            raise FrameError("utf8", "half a surrogate pair") from None
        reserve(out, size)
        memcpy(out.at, PyBytes_AS_STRING(tail), size)
        out.at += size
        return 0
