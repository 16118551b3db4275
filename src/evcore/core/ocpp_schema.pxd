"""The compiled schemas, for `core.ocpp` (which reads messages) and whoever writes them.

How to use them from Cython, to write what the schemas allow:

    cdef const ev_schema_node *node = &tables.schema.nodes[root]      # root: tables.root(kind, action)
    dict members = tables.members_of(root)                            # str -> int: place among node.count members
    cdef const ev_schema_member *member = &tables.schema.members[node.first + place]
    tables.schema.text + member.text - 1, member.len + 3              # the bytes `"wireName":`
    member.node                                                       # the node of its value
    tables.wire[member.name]                                          # the wire name as str
    dict words = tables.words_of(index)                               # str -> name, of a node with EV_NODE_WORDS

`members_of` knows wire and snake names; `loose_of` also those without underscores in small letters. Indices stay valid
for ever; pointers into `tables.schema` until the next call that may compile (`root`, `compile`): take them again.
A node has one type, or is EV_SCHEMA_ANY (0: anything, nothing renamed), or its `types` has several bits and no other
rule. Limits: see schema.h. An object that is not EV_NODE_CLOSED (customData) keeps its names as they are: its members_of
has wire names only.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "evcore/schema.h" nogil:
    enum:
        EV_TYPE_NULL
        EV_TYPE_BOOLEAN
        EV_TYPE_INTEGER
        EV_TYPE_NUMBER
        EV_TYPE_STRING
        EV_TYPE_ARRAY
        EV_TYPE_OBJECT
        EV_TYPE_ANY
        EV_NODE_CLOSED
        EV_NODE_INTEGRAL
        EV_NODE_TENTH
        EV_NODE_BOUNDED
        EV_NODE_DATE_TIME
        EV_NODE_URI
        EV_NODE_WORDS
        EV_SCHEMA_ANY
        EV_MEMBERS_MAX
        EV_WORDS_MAX
        EV_NAME_MAX
    const uint32_t EV_SCHEMA_NONE
    ctypedef struct ev_schema_node:
        uint64_t required
        double minimum
        double maximum
        uint32_t low
        uint32_t high
        uint32_t items
        uint32_t first
        uint32_t slots
        uint32_t hints
        unsigned short count
        unsigned short mask
        uint8_t types
        uint8_t flags
    ctypedef struct ev_schema_member:
        uint32_t text
        uint32_t len
        uint32_t name
        uint32_t node
    ctypedef struct ev_schema:
        ev_schema_node *nodes
        ev_schema_member *members
        uint8_t *slots
        uint8_t *text
        uint32_t node_count
        uint32_t member_count
        uint32_t hint_count
    ctypedef struct ev_actions:
        uint32_t mask
    int ev_schema_open(ev_schema *schema)
    void ev_schema_close(ev_schema *schema)
    uint32_t ev_schema_text(ev_schema *schema, const uint8_t *name, size_t len)
    uint32_t ev_schema_add(ev_schema *schema, const ev_schema_node *node, const ev_schema_member *members, size_t count)
    size_t ev_schema_size(const ev_schema *schema)
    int ev_schema_find(const ev_schema *schema, const ev_schema_node *node, const uint8_t *name, size_t len)
    int ev_actions_open(ev_actions *actions, size_t count)
    void ev_actions_close(ev_actions *actions)
    int ev_actions_add(ev_actions *actions, ev_schema *schema, const uint8_t *action, size_t len, uint32_t number)
    uint32_t ev_actions_find(const ev_actions *actions, const ev_schema *schema, const uint8_t *action, size_t len)

# Kinds of message, as places in an action's roots.
cdef enum:
    REQUEST = 0
    RESPONSE = 1
    SEND = 2


cdef class Action:
    """An action of a version. roots: of the schemas by kind, EV_SCHEMA_NONE while there is none (or none yet)."""

    cdef readonly str name
    cdef uint32_t roots[3]
    cdef bint known[3]


cdef class Tables:
    cdef ev_schema schema
    cdef ev_actions by_bytes
    cdef readonly str version
    cdef readonly list wire       # name -> wire name, interned; also the words of enumerations
    cdef readonly list snake      # name -> snake name, interned; a word, or a member of an open object, as it is
    cdef readonly list actions    # number -> Action
    cdef readonly dict by_name    # str -> Action
    cdef uint8_t *hints           # for ev_payload_read
    cdef uint32_t hint_room
    cdef ev_schema_member *_named  # name -> its bytes
    cdef uint32_t _named_room
    cdef object _load, _snake, _lock
    cdef dict _names, _kept, _nodes, _members, _loose, _words

    cdef Action _add_action(self, str name)
    cdef list _name_list(self, uint32_t index)
    cdef int _compile(self, Action action, int kind) except -1
    cdef int _make_hints(self) except -1
    cdef uint32_t _name(self, dict names, object given) except? 0xFFFFFFFE
    cdef uint32_t _add(self, ev_schema_node *node, const ev_schema_member *members,
                       size_t count) except? 0xFFFFFFFE
    cdef Action action_of(self, const uint8_t *text, size_t size)
    cdef uint32_t root_of(self, Action action, int kind) except? 0xFFFFFFFE
    cpdef dict members_of(self, uint32_t index)
    cpdef dict loose_of(self, uint32_t index)
    cpdef dict words_of(self, uint32_t index)
