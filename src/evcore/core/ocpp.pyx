# cython: language_level=3, embedsignature=True, freethreading_compatible=False
"""OCPP-J messages, the seam: bytes in, Python objects out. The contracts are native/include/evcore/ocpp.h, payload.h."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t
from libc.string cimport memchr, memcpy

from evcore.core.ocpp_schema cimport (
    EV_NODE_DATE_TIME,
    EV_SCHEMA_ANY,
    EV_SCHEMA_NONE,
    EV_TYPE_ARRAY,
    EV_TYPE_BOOLEAN,
    EV_TYPE_INTEGER,
    EV_TYPE_NULL,
    EV_TYPE_NUMBER,
    EV_TYPE_OBJECT,
    EV_TYPE_STRING,
    Action,
    Tables,
    ev_schema_member,
    ev_schema_node,
)

from decimal import Context, Decimal, InvalidOperation
from json.encoder import encode_basestring as encode_string

from evcore.errors import FrameError

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_1BYTE_DATA(object o)
    void *PyList_GET_ITEM(object o, Py_ssize_t i)
    str PyUnicode_FromObject(object text)
    double PyOS_string_to_double(const char *s, char **endptr, void *overflow_exception) noexcept
    int PyBuffer_FillInfo(Py_buffer *view, object exporter, void *buf, Py_ssize_t len, int readonly, int flags) except -1

include "ocpp_frame.pxi"
include "ocpp_build.pxi"

cdef enum:
    SCAN
    CHECK
    DECODE

cdef enum:
    TYPES_ALL = 0b1111100

cdef dict JUDGEMENTS = {"strict": STRICT, "off": OFF, "lenient": LENIENT}

include "ocpp_report.pxi"


cdef class Decoder:
    """Messages of one OCPP version by the tables of its schemas: what `evcore.ocpp.Codec` is made of.

    tables: of the version. types: bit t set, message type t is known. limits: an object with size (bytes), depth (open
    brackets) and nodes (values). judge: "strict", "off", or "lenient": strict, but ask `refused`. exact: see Codec.
    formats: judge date-time and uri too.
    """

    def __init__(self, Tables tables not None, unsigned types, limits, *, judge="strict", exact=False,
                 bint formats=False):
        self.tables, self.version, self.limits, self.formats = tables, tables.version, limits, formats
        self.rules.max_size, self.rules.max_nodes = limits.size, limits.nodes
        self.rules.max_depth = min(limits.depth, EV_JSON_DEPTH_MAX)
        # Offsets are of 32 bits, and what is reserved for a message is at most 32 times as long: in a size_t of 32 bits too.
        most = min(UINT32_MAX, <size_t>-1 // 32)
        if limits.size > most:
            raise ValueError(f"size: expected {most} bytes at most, got {limits.size}")
        self.rules.types = types
        self.judge_in = JUDGEMENTS[judge]
        if exact is True:
            self.exact_all = True
        elif exact:
            self.exact_paths = exact_paths(exact)

    def scan(self, data):
        """The parts of a message; its payload is checked to be JSON, but neither built nor judged.

        Raises FrameError: reason one of json, utf8, infinite (no JSON at all), limit, int64, array, type, idtype,
        length, arity, action, payload, error; with id and type where they could still be read.
        """
        return self._open(data, STRICT, SCAN, True, None)

    def check(self, data, *, action=None):
        """`decode`, without making the payload: for messages that are passed on."""
        return self._open(data, self.judge_in, CHECK, True, action)

    def decode(self, data, *, names="snake", action=None):
        """The parts of a message with its payload ({} for null), or the details of an error.

        data: bytes-like, one whole message; str is taken as its UTF-8. names: "snake" or "wire". action: for a
        CALLRESULT the action of the call it answers, or a mapping from message ids to actions.
        Raises FrameError as `scan`, and with reason "unsolicited" for a CALLRESULT whose action is not given (in mode
        "off" it is decoded with wire names); PayloadError: the first violation, code "NotImplemented" for an unknown
        action.
        """
        cdef bint wire = names == "wire"
        if not wire and names != "snake":
            raise ValueError(f"names: expected snake or wire, got {names!r:.40}")
        return self._open(data, self.judge_in, DECODE, wire, action)

    def reread(self, data, action, names, bint judged):
        """`decode` (names None: `check`) as if the codec were strict (judged), or off: never mended."""
        return self._open(data, STRICT if judged else OFF, CHECK if names is None else DECODE, names != "snake", action)

    # ---- what a Codec does where a message is not as it should be ----

    def refused(self, error, data, action, names):
        """Called with the FrameError or PayloadError of a message where `judge` is "lenient". data: its bytes. names:
        "snake", "wire", or None: nothing is built. Returns the Frame of the mended message (`reread`), or raises."""
        raise error

    def violation(self, Frame frame, str rule, limit, steps, bytes text, count):
        """The PayloadError to raise. rule: of RULES, or "action": unknown. limit: what the schema says. steps: str and
        int, the way to the value. text: its bytes, of objects and arrays only the first; None: not there. count: of
        its items."""
        raise NotImplementedError

    # ---- inside ----

    cdef Frame _open(self, object data, Judgement judge, int task, bint wire, object action):
        cdef Py_buffer view
        if type(data) is bytes:
            return self._read(<const uint8_t *>PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data), judge, task,
                              wire, action)
        borrow(data, self.rules.max_size, &view)
        try:
            return self._read(<const uint8_t *>view.buf, <size_t>view.len, judge, task, wire, action)
        finally:
            PyBuffer_Release(&view)

    cdef Frame _read(self, const uint8_t *bytes_, size_t size, Judgement judge, int task, bint wire, object action):
        cdef ev_ocpp_frame parts
        cdef ev_ocpp_status status
        cdef size_t at = 0, nodes = 0
        cdef Frame frame
        cdef bint whole = ev_ocpp_open(bytes_, size, &self.rules, &parts, &nodes, &at) != EV_OCPP_OK
        if whole:  # not the beginning of most: first what it is, then what is in it
            status = ev_ocpp_scan(bytes_, size, &self.rules, &parts, &at)
            if status != EV_OCPP_OK:
                return self._refuse(frame_error(status, bytes_, &parts, at), bytes_, size, judge, task, wire, action)
            at, nodes = parts.payload.at, self.rules.max_nodes
        frame = Frame.__new__(Frame)
        frame.type = <int>parts.type
        if whole:
            read_texts(frame, bytes_, &parts)
            if frame._error is not None or task == SCAN:
                if task == DECODE:
                    self._details(frame, bytes_, size, at)
                return frame
        else:
            frame.id = ascii(bytes_ + parts.id.at + 1, parts.id.len - 2)
        return self._payload(frame, bytes_, size, &parts, at, nodes, whole, judge, task, wire, action)

    cdef Frame _payload(self, Frame frame, const uint8_t *bytes_, size_t size, const ev_ocpp_frame *parts, size_t at,
                        size_t nodes, bint whole, Judgement judge, int task, bint wire, object action):
        """Judge and build the payload at `at`. whole: the frame is known to be one from end to end."""
        cdef ev_tape small[512]
        cdef ev_tape *tape = NULL
        cdef ev_tape *next_ = NULL
        cdef size_t end = at, room
        cdef ev_payload_rules rules
        cdef ev_payload_result result
        cdef ev_json_status status
        cdef Source source
        cdef uint32_t root = self._root(frame, bytes_, parts, action, task != SCAN)
        if task == DECODE:
            room = ev_tape_room(size - at, self.rules.max_depth, nodes)
            tape = next_ = &small[0] if room <= 512 else <ev_tape *>PyMem_Malloc(room * sizeof(ev_tape))
            if tape == NULL:
                raise MemoryError
        try:
            self._fill(&rules)
            status = ev_payload_read(bytes_, size, EV_SCHEMA_ANY if root == EV_SCHEMA_NONE else root, &rules, &nodes,
                                     &next_ if tape != NULL else NULL, &end, &result)
            check_memory()
            if status != EV_JSON_OK or not (whole or ev_ocpp_closed(bytes_, size, end)):
                return self._refuse(self._broken(bytes_, size), bytes_, size, judge, task, wire, action)
            frame._start, frame._end = <Py_ssize_t>at, <Py_ssize_t>end
            frame.repeated = result.repeated
            if judge != OFF and (root == EV_SCHEMA_NONE or result.first.rule != EV_RULE_NONE):
                error = self._judged(frame, bytes_, size, at, root, &result)
                if error is not None:
                    return self._refuse(error, bytes_, size, judge, task, wire, action)
            if task == DECODE:
                self._aim(&source, bytes_, tape, wire)
                frame.payload = build_object(&source, NULL, source.at[-1].size)
            return frame
        finally:
            if tape != &small[0]:
                PyMem_Free(tape)

    cdef Frame _refuse(self, object error, const uint8_t *bytes_, size_t size, Judgement judge, int task, bint wire,
                       object action):
        if judge != LENIENT:
            raise error
        return self.refused(error, bytes_[:size], action, None if task != DECODE else "wire" if wire else "snake")

    cdef uint32_t _root(self, Frame frame, const uint8_t *bytes_, const ev_ocpp_frame *parts,
                        object action, bint judged) except? 0xFFFFFFFE:
        """The schema's root, EV_SCHEMA_NONE where there is none; sets the action of the frame. Not judged: anything."""
        cdef Action known
        if frame.type == EV_OCPP_CALLRESULT:
            if not judged:
                return EV_SCHEMA_ANY
            frame.action = action_name(action, frame.id)
            known = self.tables.by_name.get(frame.action)
        else:
            known = self.tables.action_of(bytes_ + parts.action.at + 1, parts.action.len - 2)
            if known is not None:
                frame.action = known.name
            else:
                if frame.action is None:
                    frame.action = token(bytes_, parts.action)
                known = self.tables.by_name.get(frame.action)  # with escapes
        if not judged:
            return EV_SCHEMA_ANY
        if known is None:
            return EV_SCHEMA_NONE
        return self.tables.root_of(known, kind_of(frame.type))

    cdef void _fill(self, ev_payload_rules *rules) noexcept:
        rules.schema, rules.hints, rules.real = &self.tables.schema, self.tables.hints, real
        rules.depth, rules.formats = self.rules.max_depth - 1, self.formats

    cdef void _aim(self, Source *source, const uint8_t *bytes_, const ev_tape *tape, bint wire) noexcept:
        """Ready to build the members of the object that is the first entry."""
        source.data, source.at = bytes_, tape + 1
        source.wire = <void *>self.tables.wire
        source.names = source.wire if wire else <void *>self.tables.snake
        source.exact = self.exact_all
        source.paths = <void *>self if self.exact_paths is not None else NULL

    cdef bint _is_exact(self, const Place *place) except -1:
        cdef const Place *around
        for steps, anchored in self.exact_paths.get(<object>place.name, ()):
            around = place.around
            for step in <tuple>steps:
                if around == NULL or <object>around.name != step:
                    break
                around = around.around
            else:
                if not anchored or around == NULL:
                    return True
        return False

    cdef int _details(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at) except -1:
        """The details of an error, of which no schema knows anything."""
        frame._error[2] = self._free(bytes_, size, at, EV_SCHEMA_ANY, False)
        return 0

    cdef dict _free(self, const uint8_t *bytes_, size_t size, size_t at, uint32_t root, bint exact):
        """The accepted value at `at`, read by node `root`; with wire names and, if exact, Decimals."""
        cdef size_t nodes = self.rules.max_nodes
        cdef ev_payload_rules rules
        cdef ev_payload_result result
        cdef Source source
        cdef ev_tape *tape = <ev_tape *>PyMem_Malloc(ev_tape_room(size - at, self.rules.max_depth, nodes) * sizeof(ev_tape))
        cdef ev_tape *next_ = tape
        if tape == NULL:
            raise MemoryError
        try:
            self._fill(&rules)
            if ev_payload_read(bytes_, size, root, &rules, &nodes, &next_, &at, &result) != EV_JSON_OK:
                raise self._broken(bytes_, size)
            check_memory()
            self._aim(&source, bytes_, tape, True)
            source.exact, source.paths = exact, NULL
            return build_object(&source, NULL, source.at[-1].size)
        finally:
            PyMem_Free(tape)

    # ---- what is wrong ----

    cdef object _broken(self, const uint8_t *bytes_, size_t size):
        """The FrameError of bytes that are no frame."""
        cdef ev_ocpp_frame parts
        cdef size_t at = 0
        cdef ev_ocpp_status status = ev_ocpp_scan(bytes_, size, &self.rules, &parts, &at)
        if status == EV_OCPP_OK:
            return FrameError("json", "the scanner and the reader disagree")  # a test holds that they never do
        return frame_error(status, bytes_, &parts, at)

    cdef object _judged(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at, uint32_t root,
                        const ev_payload_result *result):
        """What to say of a whole frame whose payload did not pass; None: it does pass after all."""
        cdef ev_payload_rules rules
        cdef ev_payload_result again
        cdef size_t start = 0, nodes = self.rules.max_nodes
        cdef bytes plain
        if frame.action is None:
            return FrameError("unsolicited", "no call with this id", id=frame.id, type=frame.type)
        if root == EV_SCHEMA_NONE:
            return self.violation(frame, "action", None, (), None, 0)
        if not result.repeated:
            return self._report(frame, bytes_, size, at, &result.first)
        # A name is there twice: as for other parsers the last one counts, so judge what is left of the others. Written
        # anew each name is there once, numbers keep their digits.
        parts = []
        write(self._free(bytes_, size, at, root, True), parts)
        plain = "".join(parts).encode()
        self._fill(&rules)
        ev_payload_read(<const uint8_t *>PyBytes_AS_STRING(plain), <size_t>len(plain), root, &rules, &nodes, NULL,
                        &start, &again)
        check_memory()
        if again.first.rule == EV_RULE_NONE:
            return None
        return self._report(frame, <const uint8_t *>PyBytes_AS_STRING(plain), <size_t>len(plain), 0, &again.first)

    cdef object _report(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at, const ev_violation *found):
        cdef ev_json_step way[1024]
        cdef size_t depth = ev_json_path(bytes_, size, at, found.at, way, 1024), value = found.at, end
        cdef list steps = [token(bytes_, ev_span(way[i].at, way[i].len)) if way[i].len != 0 else way[i].at
                           for i in range(depth)]
        cdef bytes text = None
        if found.rule == EV_RULE_REQUIRED:
            steps.append(self.tables.wire[self.tables.schema.members[found.member].name])
        elif found.rule == EV_RULE_ADDITIONAL:  # the name, of which the way knows only the object
            ev_json_skip(bytes_, size, 1, &value)
            steps[depth - 1] = token(bytes_, ev_span(found.at, value - found.at))
            value = ev_json_space(bytes_, size, ev_json_space(bytes_, size, value) + 1)
        if found.rule != EV_RULE_REQUIRED:
            end = value
            if bytes_[value] == c'{' or bytes_[value] == c'[':
                end += 1
            else:
                ev_json_skip(bytes_, size, 1, &end)
            text = bytes_[value:end]
        return self.violation(frame, RULES[<int>found.rule], self._limit(found.rule, found.node), steps, text,
                              found.count)

    cdef object _limit(self, ev_rule rule, uint32_t index):
        """What the schema says, as Python."""
        # A copy: what is made here may run a collector, and with it another thread that compiles.
        cdef ev_schema_node node = self.tables.schema.nodes[index]
        if rule == EV_RULE_TYPE:
            return type_names(node.types)
        if rule == EV_RULE_ENUM:
            return [self.tables.wire[self.tables.schema.members[node.first + i].name] for i in range(node.count)]
        if rule == EV_RULE_MIN_LENGTH or rule == EV_RULE_MIN_ITEMS:
            return node.low
        if rule == EV_RULE_MAX_LENGTH or rule == EV_RULE_MAX_ITEMS:
            return node.high
        if rule == EV_RULE_FORMAT:
            return "date-time" if node.flags & EV_NODE_DATE_TIME else "uri"
        if rule == EV_RULE_MINIMUM:
            return node.minimum
        if rule == EV_RULE_MAXIMUM:
            return node.maximum
        return 0.1 if rule == EV_RULE_MULTIPLE_OF else None


include "ocpp_scan.pxi"
