"""Messages in, for `core.ocpp_encode` and others who build on the Decoder. The C contracts are native/include/evcore."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from evcore.core.ocpp_schema cimport REQUEST, RESPONSE, SEND, Action, Tables, ev_schema, ev_schema_node

cdef extern from "evcore/json.h" nogil:
    ctypedef enum ev_json_status:
        EV_JSON_OK
    ctypedef enum ev_tape_kind:
        EV_TAPE_NULL
        EV_TAPE_FALSE
        EV_TAPE_TRUE
        EV_TAPE_INTEGER
        EV_TAPE_REAL
        EV_TAPE_STRING
        EV_TAPE_WORD
        EV_TAPE_KEY
        EV_TAPE_OBJECT
        EV_TAPE_ARRAY
    ctypedef struct ev_tape:
        uint8_t kind
        uint8_t flags
        uint32_t key
        uint32_t at
        uint32_t size
    ctypedef struct ev_json_step:
        size_t at
        size_t len
    enum:
        EV_TAPE_WIDE
        EV_TAPE_ESCAPED
        EV_JSON_DEPTH_MAX
    const uint32_t EV_TAPE_NO_KEY
    size_t ev_tape_room(size_t len, unsigned depth, size_t nodes)
    size_t ev_json_space(const uint8_t *data, size_t len, size_t at)
    size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len)
    int64_t ev_json_integer(const uint8_t *text, size_t len)
    bint ev_json_real(const uint8_t *text, size_t len, double *value)
    ev_json_status ev_json_skip(const uint8_t *data, size_t len, unsigned depth, size_t *at)
    size_t ev_json_path(const uint8_t *data, size_t len, size_t start, size_t target, ev_json_step *steps, size_t room)

cdef extern from "evcore/ocpp.h" nogil:
    enum:
        EV_OCPP_CALL
        EV_OCPP_CALLRESULT
        EV_OCPP_SEND
        EV_OCPP_ID_MAX
    ctypedef enum ev_ocpp_status:
        EV_OCPP_OK
    ctypedef struct ev_ocpp_rules:
        size_t max_size
        size_t max_nodes
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
    ev_ocpp_status ev_ocpp_open(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                                size_t *nodes, size_t *at)
    bint ev_ocpp_closed(const uint8_t *data, size_t len, size_t at)
    const char *ev_ocpp_reason(ev_ocpp_status status)


# Which of an action's schemas judges a message of this type.
cdef inline int kind_of(int type) noexcept:
    return REQUEST if type == EV_OCPP_CALL else RESPONSE if type == EV_OCPP_CALLRESULT else SEND


ctypedef double (*ev_real)(const uint8_t *text, size_t len) noexcept

cdef extern from "evcore/payload.h" nogil:
    ctypedef enum ev_rule:
        EV_RULE_NONE
        EV_RULE_TYPE
        EV_RULE_ENUM
        EV_RULE_MAX_LENGTH
        EV_RULE_MIN_LENGTH
        EV_RULE_FORMAT
        EV_RULE_MINIMUM
        EV_RULE_MAXIMUM
        EV_RULE_MULTIPLE_OF
        EV_RULE_MIN_ITEMS
        EV_RULE_MAX_ITEMS
        EV_RULE_REQUIRED
        EV_RULE_ADDITIONAL
    ctypedef struct ev_violation:
        ev_rule rule
        uint32_t node
        uint32_t member
        size_t at
        size_t count
    ctypedef struct ev_payload_rules:
        const ev_schema *schema
        uint8_t *hints
        ev_real real
        unsigned depth
        bint formats
    ctypedef struct ev_payload_result:
        ev_violation first
        bint repeated
    bint ev_format_date_time(const uint8_t *text, size_t len)
    bint ev_format_uri(const uint8_t *text, size_t len)
    ev_json_status ev_payload_read(const uint8_t *data, size_t len, uint32_t root, const ev_payload_rules *rules,
                                   size_t *nodes, ev_tape **tape, size_t *at, ev_payload_result *result)


# Where in a payload: the wire name of the member, and the object around it. Items have the place of their array.
cdef struct Place:
    const Place *around
    void *name


cdef struct Source:
    const uint8_t *data
    const ev_tape *at
    void *names  # list: name -> key, in the spelling asked for
    void *wire   # list: name -> wire name or word
    bint exact   # every number with a fraction is a Decimal
    void *paths  # the Decoder whose exact paths count, NULL: none do


cdef class Frame:
    cdef readonly int type
    cdef readonly str id
    cdef public str action
    cdef public object payload
    cdef object _error              # None, or [code, description, details]
    cdef public bytes mended
    cdef readonly bint repeated
    cdef tuple _repairs             # None: none
    cdef Py_ssize_t _start, _end    # of the payload; _start -1: no span


# How what comes in is judged.
cdef enum Judgement:
    STRICT = 0
    OFF = 1
    LENIENT = 2  # strictly; what does not pass is shown to Decoder.refused


cdef class Decoder:
    cdef readonly str version
    cdef readonly object limits
    cdef readonly bint formats
    cdef readonly Tables tables
    cdef ev_ocpp_rules rules
    cdef Judgement judge_in
    cdef bint exact_all
    cdef dict exact_paths  # last step of a path -> [(the steps before it, last first, does it begin at the payload)]

    cdef Frame _open(self, object data, Judgement judge, int task, bint wire, object action)
    cdef Frame _read(self, const uint8_t *bytes_, size_t size, Judgement judge, int task, bint wire, object action)
    cdef Frame _payload(self, Frame frame, const uint8_t *bytes_, size_t size, const ev_ocpp_frame *parts, size_t at,
                        size_t nodes, bint whole, Judgement judge, int task, bint wire, object action)
    cdef Frame _refuse(self, object error, const uint8_t *bytes_, size_t size, Judgement judge, int task, bint wire,
                       object action)
    cdef uint32_t _root(self, Frame frame, const uint8_t *bytes_, const ev_ocpp_frame *parts,
                        object action, bint judged) except? 0xFFFFFFFE
    cdef void _fill(self, ev_payload_rules *rules) noexcept
    cdef void _aim(self, Source *source, const uint8_t *bytes_, const ev_tape *tape, bint wire) noexcept
    cdef bint _is_exact(self, const Place *place) except -1
    cdef int _details(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at) except -1
    cdef dict _free(self, const uint8_t *bytes_, size_t size, size_t at, uint32_t root, bint exact)
    cdef object _broken(self, const uint8_t *bytes_, size_t size)
    cdef object _judged(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at, uint32_t root,
                        const ev_payload_result *result)
    cdef object _report(self, Frame frame, const uint8_t *bytes_, size_t size, size_t at,
                        const ev_violation *found)
    cdef object _limit(self, ev_rule rule, uint32_t index)
