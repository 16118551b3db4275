# cython: language_level=3, embedsignature=True, freethreading_compatible=False
"""OCPP-J messages, written: a Python payload walked by the tables of its schema, judged and turned into bytes on the way.

The contracts are native/include/evcore/{schema,json_write}.h. `Writer.write` gives up (None) where the schema says no;
why, is told by whoever reads `Writer.write_unjudged`, so that there is one place only that words a violation.
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

from evcore.core.ocpp_schema cimport (
    EV_NODE_BOUNDED, EV_NODE_CLOSED, EV_NODE_DATE_TIME, EV_NODE_INTEGRAL, EV_NODE_TENTH, EV_NODE_URI, EV_NODE_WORDS,
    EV_TYPE_ARRAY, EV_TYPE_BOOLEAN, EV_TYPE_INTEGER, EV_TYPE_NULL, EV_TYPE_NUMBER, EV_TYPE_OBJECT, EV_TYPE_STRING,
    Tables, ev_schema_find, ev_schema_member, ev_schema_node,
)

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from evcore.errors import FrameError

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t *PyUnicode_1BYTE_DATA(object text)
    PyObject *PyList_GET_ITEM_ "PyList_GET_ITEM"(object items, Py_ssize_t at)
    str PyUnicode_FromObject(object text)

cdef extern from "evcore/json_write.h" nogil:
    int EV_JSON_INTEGER_MAX
    int EV_JSON_REAL_MAX
    size_t ev_json_text_room(size_t len)
    uint8_t *ev_json_put_text(uint8_t *out, const uint8_t *text, size_t len)
    uint8_t *ev_json_put_integer(uint8_t *out, int64_t value)
    uint8_t *ev_json_put_real(uint8_t *out, double value, int *tenths)

cdef extern from "evcore/payload.h" nogil:
    bint ev_format_date_time(const uint8_t *text, size_t len)
    bint ev_format_uri(const uint8_t *text, size_t len)

cdef enum:
    CALL = 2
    CALLRESULT = 3
    SEND = 6
    ID_MAX = 36             # code points: OCPP-J 1.6, 4.1.4
    SCRATCH = 1 << 16       # bytes that are kept from message to message
    EXACT_DIGITS = 18       # of a Decimal that is an integer within int64 or a number within a double, whatever they are
    KEY_COPY = 32           # bytes of a name that are copied at once; so many may be read after each (schema.h)
    KEY_MAX = 258           # bytes of a name with its quotes and colon
    WORDS = 1024            # of enumerations, that are known by their pointers
    KNOWN_CLASSES = 1024    # dataclasses whose fields are remembered

cdef struct Out:
    uint8_t *start
    uint8_t *at
    uint8_t *end
    size_t nodes      # values that may still come
    unsigned depth    # containers that may still be opened
    bint judging      # by the schema

# The member that is expected next, most objects being written as the one before. key: a name that the tables own, so that
# the same pointer is the same name; NULL: nothing is expected.
cdef struct Guess:
    PyObject *key
    uint32_t text
    uint32_t node
    uint16_t len
    uint8_t place

# An object on its way out. guess: where the member expected next stands, first: that of the first one. missing: of the
# members required. loose: it is a dataclass, or in one.
cdef struct Members:
    uint64_t missing
    uint64_t seen
    uint32_t node
    uint32_t first
    uint32_t guess
    bint loose

# A str that was found among the words of a node. text: owned; the same pointer again needs no look at its characters.
cdef struct Word:
    PyObject *text
    uint32_t node

# Where messages are written before their length is known; one message at a time holds it, others get their own.
cdef uint8_t *scratch = NULL
cdef bint scratch_taken = False

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


cdef inline bint same_text(PyObject *given, PyObject *name):
    """Is it an ASCII str of these characters? False for anything else. name: ASCII, NULL is no name."""
    if name == NULL or not PyUnicode_CheckExact(<object>given) or not PyUnicode_IS_COMPACT_ASCII(<object>given):
        return False
    if not PyUnicode_IS_COMPACT_ASCII(<object>name):
        return False
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(<object>name)
    if PyUnicode_GET_LENGTH(<object>given) != size:
        return False
    return memcmp(PyUnicode_1BYTE_DATA(<object>given), PyUnicode_1BYTE_DATA(<object>name), <size_t>size) == 0


cdef bint has_format(const ev_schema_node *node, const uint8_t *text, size_t size):
    if node.flags & EV_NODE_DATE_TIME and not ev_format_date_time(text, size):
        return False
    return not node.flags & EV_NODE_URI or ev_format_uri(text, size)


cdef object no_form(object value):
    return TypeError(f"{type(value).__name__} has no form in JSON")


cdef str instant(object value):
    """RFC 3339 in UTC with at most three fraction digits (OCPP 2.0.1 Part 2, 2.1.4)."""
    if value.tzinfo is None:
        raise TypeError("a datetime without a zone could mean any hour")
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise TypeError(f"{value!r} is beyond the calendar in UTC") from None
    return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")[:-6] + "Z"


cdef class _Shared:
    """What the writers of one version have in common, beside its tables.

    heads: by kind of message (as in ocpp_schema.pxd), action -> (the bytes `,"Action",`, root node). names, loose: node
    -> its `members_of` and `loose_of`, None until used. guesses: of each node, laid out as the hints of the tables.
    """

    cdef Tables tables
    cdef list heads, names, loose
    cdef Guess *guesses
    cdef uint32_t room
    cdef Word words[WORDS]

    def __cinit__(self, Tables tables not None):
        self.tables, self.heads, self.names, self.loose = tables, [{}, {}, {}], [], []
        self.make_room()

    def __dealloc__(self):
        PyMem_Free(self.guesses)
        for i in range(WORDS):
            Py_XDECREF(self.words[i].text)

    cdef inline bint has_word(self, uint32_t index, PyObject *value, const uint8_t *text, size_t size):
        """Is it among the words of the node?"""
        cdef Word *word = &self.words[(<size_t>value >> 4 ^ index * 31) & (WORDS - 1)]
        if word.text == value and word.node == index:
            return True
        if ev_schema_find(&self.tables.schema, &self.tables.schema.nodes[index], text, size) < 0:
            return False
        Py_INCREF(<object>value)
        Py_XDECREF(word.text)
        word.text, word.node = value, index
        return True

    cdef int make_room(self) except -1:
        """As the tables grow. Never smaller than they are when a message is begun."""
        cdef uint32_t wanted = self.tables.schema.hint_count
        cdef void *moved
        if wanted > self.room:
            wanted += wanted // 2
            moved = PyMem_Realloc(self.guesses, wanted * sizeof(Guess))
            if moved == NULL:
                raise MemoryError
            self.guesses = <Guess *>moved
            memset(self.guesses + self.room, 0, (wanted - self.room) * sizeof(Guess))
            self.room = wanted
        missing = self.tables.schema.node_count - <uint32_t>PyList_GET_SIZE(self.names)
        if missing > 0:
            self.names.extend([None] * missing)
            self.loose.extend([None] * missing)
        return 0

    cdef tuple head(self, int kind, str action):
        """None: the version does not know it."""
        root = self.tables.root(("request", "response", "send")[kind], action)
        if root is None:
            return None
        self.make_room()
        text = b"," if kind == 1 else b',"%s",' % action.encode()
        found = self.heads[kind][action] = (text, root)
        return found

    cdef dict names_of(self, uint32_t index):
        """`members_of`, kept; a name that must be escaped in JSON is refused here, once."""
        found = self.names[index]
        if found is None:
            found = self.tables.members_of(index)
            for name in found:
                if not (<str>name).isprintable() or '"' in name or "\\" in name:
                    raise ValueError(f"a schema with the name {name!r:.40}")
            self.names[index] = found
        return found

    cdef dict loose_names_of(self, uint32_t index):
        found = self.loose[index]
        if found is None:
            found = self.loose[index] = self.tables.loose_of(index)
        return found


cdef dict shared = {}  # Tables -> _Shared


@cython.final
cdef class Writer:
    """Messages of one version, written by its tables.

    size, depth, nodes: limits of a whole message, as `core.ocpp.scan` has them. formats: date-time and uri are judged.
    """

    cdef _Shared _shared
    cdef Tables _tables
    cdef size_t _size, _nodes
    cdef unsigned _depth
    cdef bint _formats

    def __init__(self, Tables tables not None, *, size_t size=1 << 20, unsigned depth=32, size_t nodes=1 << 16,
                 bint formats=False):
        self._shared = shared.get(tables)
        if self._shared is None:
            self._shared = shared[tables] = _Shared(tables)
        self._tables, self._size, self._depth, self._nodes, self._formats = tables, size, depth, nodes, formats

    def write(self, int type, object id, object action, object payload):
        """The bytes of a CALL (2), CALLRESULT (3) or SEND (6); None where the schema refuses the payload, or the version
        knows no such action, or a number is one that only a reader can judge.

        payload: a mapping with wire or snake names or a dataclass; in them also lists, tuples, enums, datetimes with a
        zone, Decimals. Fields of a dataclass that are None, and such members of mappings below it, are left out; what the
        schema does not describe (customData) is written as it is.
        Raises FrameError: reason idtype, length, utf8 (the id), limit, int64; TypeError for what has no form in JSON.
        """
        cdef int kind = 0 if type == CALL else 1 if type == CALLRESULT else 2
        cdef PyObject *known = NULL
        cdef tuple head
        if PyUnicode_CheckExact(action):
            known = PyDict_GetItemWithError(<dict>PyList_GET_ITEM(self._shared.heads, kind), action)
        if known != NULL:
            head = <tuple>known
        elif PyUnicode_Check(action):
            head = self._shared.head(kind, PyUnicode_FromObject(action))
        else:
            raise TypeError(f"action: expected str, got {action.__class__.__name__}")
        if head is None:
            return None
        return self._message(type, id, <bytes>head[0], <uint32_t>head[1], payload, True)

    def write_unjudged(self, int type, object id, str action, object payload):
        """The bytes, whatever the schema says: for its judge, or where nobody judges. Names are mapped where it has them.

        A number that is not finite becomes null where the schema has a rule for it. Errors as `write`.
        """
        cdef int kind = 0 if type == CALL else 1 if type == CALLRESULT else 2
        cdef tuple head = self._shared.head(kind, action)
        if head is not None:
            return self._message(type, id, <bytes>head[0], <uint32_t>head[1], payload, False)
        return self._message(type, id, b"," if kind == 1 else b"," + self._text(action) + b",", 0, payload, False)

    def write_error(self, int type, object id, str code not None, str description not None, object details):
        """The bytes of a CALLERROR (4) or CALLRESULTERROR (5). Errors as `write`; code and description may be anything."""
        return self._message(type, id, b",%s,%s," % (self._text(code), self._text(description)), 0, details, False)

    cdef bytes _text(self, str text):
        """A JSON string; TypeError for half a surrogate pair."""
        cdef Out out
        cdef bint taken = self._open(&out)
        try:
            self._put_text(&out, 0, text)
            return PyBytes_FromStringAndSize(<char *>out.start, out.at - out.start)
        finally:
            self._close(&out, taken)

    # ---- a message ----

    cdef bint _open(self, Out *out) except -1:
        """Room to write into; whether it is the scratch."""
        global scratch, scratch_taken
        cdef bint mine = not scratch_taken
        if mine and scratch == NULL:
            scratch = <uint8_t *>PyMem_Malloc(SCRATCH)
        out.start = scratch if mine else <uint8_t *>PyMem_Malloc(SCRATCH)
        if out.start == NULL:
            raise MemoryError
        scratch_taken = True
        out.at, out.end = out.start, out.start + SCRATCH
        out.nodes, out.depth, out.judging = self._nodes, self._depth, False
        return mine

    cdef void _close(self, Out *out, bint mine):
        global scratch, scratch_taken
        if not mine:
            PyMem_Free(out.start)
            return
        scratch_taken = False
        if out.start != scratch or out.end - out.start != SCRATCH:
            PyMem_Free(out.start)  # it grew: not kept
            scratch = NULL

    cdef object _message(self, int type, object id, bytes tail, uint32_t root, object payload, bint judging):
        cdef Out out
        cdef Py_ssize_t size = PyBytes_GET_SIZE(tail)
        cdef bint mine
        if not PyUnicode_Check(id):
            raise FrameError("idtype", "expected a string as message id", type=type)
        if not 1 <= PyUnicode_GET_LENGTH(id) <= ID_MAX:
            raise FrameError("length", "an id has 1 to 36 characters", type=type)
        mine = self._open(&out)
        try:
            out.judging = judging
            # The frame's array and its elements before the payload.
            if out.nodes < 5 or out.depth < 2:
                raise self._limit("more values than the limit")
            out.nodes -= 3 if type == CALLRESULT else 5 if type == 4 or type == 5 else 4
            out.depth -= 1
            self._reserve(&out, <size_t>size + 4)
            out.at[0], out.at[1], out.at[2] = c'[', <uint8_t>(c'0' + type), c','
            out.at += 3
            try:
                self._put_text(&out, 0, id)
            except TypeError:
                raise FrameError("utf8", "half a surrogate pair", type=type) from None
            self._reserve(&out, <size_t>size)
            memcpy(out.at, PyBytes_AS_STRING(tail), <size_t>size)
            out.at += size
            if not self._put(&out, root, payload, False):
                return None
            self._reserve(&out, 1)
            out.at[0] = c']'
            out.at += 1
            if <size_t>(out.at - out.start) > self._size:
                raise self._limit("longer than the limit")
            return PyBytes_FromStringAndSize(<char *>out.start, out.at - out.start)
        except FrameError as error:
            error.id, error.type = id, type
            raise
        finally:
            self._close(&out, mine)

    cdef object _limit(self, str detail):
        return FrameError("limit", detail)

    cdef inline int _reserve(self, Out *out, size_t more) except -1:
        """Room for so many bytes and a comma."""
        return 0 if <size_t>(out.end - out.at) > more else self._grow(out, more + 1)

    cdef int _grow(self, Out *out, size_t more) except -1:
        global scratch
        cdef size_t used = <size_t>(out.at - out.start), wanted
        cdef uint8_t *moved
        if used > self._size:
            raise self._limit("longer than the limit")
        wanted = 2 * (used + more)
        moved = <uint8_t *>PyMem_Realloc(out.start, wanted)
        if moved == NULL:
            raise MemoryError
        if scratch == out.start:
            scratch = moved
        out.start, out.at, out.end = moved, moved + used, moved + wanted
        return 0

    # ---- values: 1 written, 0 given up ----

    cdef int _put(self, Out *out, uint32_t index, object value, bint loose) except -1:
        """loose: below a dataclass."""
        if out.nodes == 0:
            raise self._limit("more values than the limit")
        out.nodes -= 1
        if PyUnicode_CheckExact(value):
            return self._put_text(out, index, value)
        if PyDict_CheckExact(value):
            return self._put_dict(out, index, <dict>value, loose)
        if PyList_CheckExact(value):
            return self._put_list(out, index, <list>value, loose)
        if PyLong_CheckExact(value):
            return self._put_integer(out, index, value)
        if PyFloat_CheckExact(value):
            return self._put_real(out, index, value)
        if value is True:
            return self._put_word(out, index, EV_TYPE_BOOLEAN, b"true")
        if value is False:
            return self._put_word(out, index, EV_TYPE_BOOLEAN, b"false")
        if value is None:
            return self._put_word(out, index, EV_TYPE_NULL, b"null")
        return self._put_other(out, index, value, loose)

    cdef int _put_other(self, Out *out, uint32_t index, object value, bint loose) except -1:
        """What is not JSON's own, by what it stands for."""
        cdef tuple names
        if PyUnicode_Check(value):
            return self._put_text(out, index, value)
        if isinstance(value, Enum):
            if isinstance(value.value, Enum):
                raise no_form(value)
            out.nodes += 1
            return self._put(out, index, value.value, loose)
        if isinstance(value, tuple):
            return self._put_list(out, index, list(value), loose)
        names = fields_of(value)
        if names is not None:
            return self._put_fields(out, index, value, names)
        if isinstance(value, Decimal):
            return self._put_decimal(out, index, value)
        if isinstance(value, datetime):
            return self._put_text(out, index, instant(value))
        if isinstance(value, Mapping):
            return self._put_dict(out, index, dict(value), loose)
        if PyLong_Check(value):
            return self._put_integer(out, index, value)
        if PyFloat_Check(value):
            return self._put_real(out, index, value)
        if isinstance(value, list):
            return self._put_list(out, index, list(value), loose)
        raise no_form(value)

    cdef int _put_word(self, Out *out, uint32_t index, unsigned type, bytes word) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(word)
        if out.judging and not self._tables.schema.nodes[index].types & type:
            return 0
        self._reserve(out, <size_t>size)
        memcpy(out.at, PyBytes_AS_STRING(word), <size_t>size)
        out.at += size
        return 1

    cdef int _put_text(self, Out *out, uint32_t index, object value) except -1:
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value), points = size
        cdef const uint8_t *text
        if PyUnicode_IS_COMPACT_ASCII(value):
            text = PyUnicode_1BYTE_DATA(value)
        else:
            try:
                text = <const uint8_t *>PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:
                raise TypeError("half a surrogate pair has no form in JSON") from None
        if out.judging:
            if points > node.high or points < node.low or not node.types & EV_TYPE_STRING:
                return 0
            if node.flags & EV_NODE_WORDS:
                if not self._shared.has_word(index, <PyObject *>value, text, <size_t>size):
                    return 0
            elif self._formats and node.flags and not has_format(node, text, <size_t>size):
                return 0
        if <size_t>size > self._size:
            raise self._limit("longer than the limit")
        self._reserve(out, ev_json_text_room(<size_t>size))
        out.at = ev_json_put_text(out.at, text, <size_t>size)
        return 1

    # ---- numbers ----

    cdef int _put_integer(self, Out *out, uint32_t index, object value) except -1:
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef int overflow = 0
        cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            raise FrameError("int64", "an integer of more than 64 bits")
        if out.judging:
            if not node.types & (EV_TYPE_INTEGER | EV_TYPE_NUMBER):
                return 0
            if node.flags & EV_NODE_BOUNDED and not node.minimum <= <double>number <= node.maximum:
                return 0
        self._reserve(out, EV_JSON_INTEGER_MAX)
        out.at = ev_json_put_integer(out.at, number)
        return 1

    cdef int _put_real(self, Out *out, uint32_t index, object value) except -1:
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef double number = PyFloat_AS_DOUBLE(value)
        cdef int tenths = 0
        cdef uint8_t *end
        if not isfinite(number):
            if index == 0:
                raise TypeError(f"{float(value)} has no form in JSON")
            return 0 if out.judging else self._put_word(out, index, EV_TYPE_NULL, b"null")
        if out.judging:
            if not node.types & EV_TYPE_NUMBER:
                if not node.types & EV_TYPE_INTEGER or not node.flags & EV_NODE_INTEGRAL or floor(number) != number:
                    return 0
            if node.flags & EV_NODE_BOUNDED and not node.minimum <= number <= node.maximum:
                return 0
        self._reserve(out, EV_JSON_REAL_MAX)
        end = ev_json_put_real(out.at, number, &tenths)
        if end == NULL:
            if out.judging and node.flags & EV_NODE_TENTH:
                return 0
            return self._put_ascii(out, float.__repr__(value))
        if out.judging and node.flags & EV_NODE_TENTH and not tenths:
            return 0
        out.at = end
        return 1

    cdef int _put_decimal(self, Out *out, uint32_t index, object value) except -1:
        """With its digits. One whose size or digits matter to the judge is left to a reader."""
        cdef const ev_schema_node *node
        cdef str text
        if not Decimal.is_finite(value):
            raise no_form(value)
        text = Decimal.__str__(value)
        node = &self._tables.schema.nodes[index]
        if out.judging:
            if not node.types & EV_TYPE_NUMBER or node.flags & (EV_NODE_BOUNDED | EV_NODE_TENTH):
                return 0
            if len(text) > EXACT_DIGITS or "E" in text:
                return 0
        return self._put_ascii(out, text)

    cdef int _put_ascii(self, Out *out, str text) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *bytes_ = PyUnicode_AsUTF8AndSize(text, &size)
        if <size_t>size > self._size:
            raise self._limit("longer than the limit")
        self._reserve(out, <size_t>size)
        memcpy(out.at, bytes_, <size_t>size)
        out.at += size
        return 1

    # ---- containers ----

    cdef int _put_list(self, Out *out, uint32_t index, list items, bint loose) except -1:
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef Py_ssize_t at = 0, count = PyList_GET_SIZE(items)
        cdef uint32_t inner = node.items
        if out.judging and (not node.types & EV_TYPE_ARRAY or not node.low <= <size_t>count <= node.high):
            return 0
        self._begin(out, c'[')
        while at < PyList_GET_SIZE(items):
            if not self._put(out, inner, <object>PyList_GET_ITEM(items, at), loose):
                return 0
            out.at[0] = c','
            out.at += 1
            at += 1
        if at != count:
            raise RuntimeError("the list changed while it was written")
        self._end(out, c']')
        return 1

    cdef int _begin(self, Out *out, uint8_t bracket) except -1:
        if out.depth == 0:
            raise self._limit("nested deeper than the limit")
        out.depth -= 1
        self._reserve(out, 1)
        out.at[0] = bracket
        out.at += 1
        return 0

    cdef inline int _end(self, Out *out, uint8_t bracket) except -1:
        """Over the last comma, if there is one."""
        if out.at[-1] == c',':
            out.at -= 1
        self._reserve(out, 1)
        out.at[0] = bracket
        out.at += 1
        out.depth += 1
        return 0

    cdef int _put_dict(self, Out *out, uint32_t index, dict value, bint loose) except -1:
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef Members members
        cdef Py_ssize_t place = 0, count = PyDict_Size(value)
        cdef PyObject *key
        cdef PyObject *member
        if out.judging and not node.types & EV_TYPE_OBJECT:
            return 0
        # customData, and what else the schema leaves open, passes as it is.
        members.node, members.loose = index, loose and node.flags & EV_NODE_CLOSED
        members.first = members.guess = node.hints
        members.missing, members.seen = node.required, 0
        self._begin(out, c'{')
        while PyDict_Next(value, &place, &key, &member):
            if member == <PyObject *>None and members.loose:
                continue
            if not self._put_member(out, &members, key, member):
                return 0
        if count != PyDict_Size(value):
            raise RuntimeError("the mapping changed while it was written")
        if out.judging and members.missing & ~members.seen:
            return 0
        self._end(out, c'}')
        return 1

    cdef int _put_fields(self, Out *out, uint32_t index, object value, tuple names) except -1:
        """A dataclass: its fields that are not None."""
        cdef const ev_schema_node *node = &self._tables.schema.nodes[index]
        cdef Members members
        if out.judging and not node.types & EV_TYPE_OBJECT:
            return 0
        members.node, members.loose, members.first, members.guess = index, True, node.hints, node.hints
        members.missing, members.seen = node.required, 0
        self._begin(out, c'{')
        for name in names:
            member = getattr(value, name)
            if member is not None and not self._put_member(out, &members, <PyObject *>name, <PyObject *>member):
                return 0
        if out.judging and members.missing & ~members.seen:
            return 0
        self._end(out, c'}')
        return 1

    cdef inline int _put_member(self, Out *out, Members *members, PyObject *key, PyObject *value) except -1:
        """One member and a comma. key and value are owned by who calls, as long as no Python runs."""
        cdef Guess *expected = &self._shared.guesses[members.guess]
        cdef uint32_t inner
        cdef uint64_t bit
        if key != expected.key and not same_text(key, expected.key):
            if not self._look_up(<object>key, members):
                return self._put_stranger(out, members.node, <object>key, <object>value)
            expected = &self._shared.guesses[members.guess]
        members.guess = members.first + expected.place + 1
        bit = <uint64_t>1 << expected.place
        if members.seen & bit:
            raise TypeError(f"{<object>key} is there under another name too")
        members.seen |= bit
        inner = expected.node
        self._reserve(out, KEY_MAX)
        if expected.len <= KEY_COPY:
            memcpy(out.at, self._tables.schema.text + expected.text, KEY_COPY)
        else:
            memcpy(out.at, self._tables.schema.text + expected.text, expected.len)
        out.at += expected.len
        if PyUnicode_CheckExact(<object>value) and out.nodes > 0:
            out.nodes -= 1
            if not self._put_text(out, inner, <object>value):
                return 0
        elif not self._put(out, inner, <object>value, members.loose):
            return 0
        out.at[0] = c','
        out.at += 1
        return 1

    cdef int _put_stranger(self, Out *out, uint32_t index, object key, object value) except -1:
        """A member that the schema does not know."""
        if out.judging and self._tables.schema.nodes[index].flags & EV_NODE_CLOSED:
            return 0
        self._put_text(out, 0, key)
        out.at[0] = c':'
        out.at += 1
        if not self._put(out, 0, value, False):
            return 0
        out.at[0] = c','
        out.at += 1
        return 1

    cdef bint _look_up(self, object key, Members *members) except -1:
        """Makes the member with this wire or snake name the one expected; False: the schema has no such one."""
        cdef const ev_schema_node *node
        cdef const ev_schema_member *member
        cdef Guess *expected
        cdef PyObject *found
        cdef PyObject *name
        if not PyUnicode_Check(key):
            raise TypeError(f"names of members are str, got {type(key).__name__}")
        key = PyUnicode_FromObject(key)
        found = PyDict_GetItemWithError(self._shared.names_of(members.node), key)
        if found == NULL and members.loose:
            found = PyDict_GetItemWithError(self._shared.loose_names_of(members.node), key.replace("_", "").lower())
        if found == NULL:
            return False
        node = &self._tables.schema.nodes[members.node]
        expected = &self._shared.guesses[members.guess]
        expected.place = <uint8_t><object>found
        member = &self._tables.schema.members[node.first + expected.place]
        name = PyList_GET_ITEM_(self._tables.snake, member.name)
        if not same_text(<PyObject *>key, name):
            name = PyList_GET_ITEM_(self._tables.wire, member.name)
        expected.key = name
        expected.text, expected.len, expected.node = member.text - 1, <uint16_t>(member.len + 3), member.node
        return True
