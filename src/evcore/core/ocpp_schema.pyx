# cython: language_level=3, embedsignature=True, freethreading_compatible=False
"""JSON schemas into the tables of native/include/evcore/schema.h, at run time, one message when it is first used.

The language is what OCPP's schemas use of JSON Schema drafts 4 and 6; a keyword outside it that would constrain a value
is an error, never ignored.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import sys
import threading

cdef uint32_t NONE = 0xFFFFFFFF

KINDS = ("request", "response", "send")


@cython.final
cdef class Action:
    """An action of a version, with the schemas of its messages."""

    def __repr__(self):
        return f"Action({self.name!r})"


include "ocpp_compile.pxi"


@cython.final
cdef class Tables:
    """The messages of one version, shared by all its codecs.

    messages: the kind ("request", "response", "send") and action of each. load: (kind, action) -> its schema, parsed;
    called once each, when it is first used. snake: wire name -> Python's name.
    Raises ValueError for a schema outside of the language (when it is first used).
    """

    def __cinit__(self):
        if not ev_schema_open(&self.schema) or not ev_actions_open(&self.by_bytes, 255):
            raise MemoryError

    def __dealloc__(self):
        ev_schema_close(&self.schema)
        ev_actions_close(&self.by_bytes)
        PyMem_Free(self.hints)
        PyMem_Free(self._named)

    def __init__(self, str version not None, messages, load, snake):
        cdef Action action
        cdef int kind
        self.version, self._load, self._snake, self._lock = version, load, snake, threading.RLock()
        self.wire, self.snake, self.actions, self.by_name = [], [], [], {}
        self._names, self._kept, self._nodes = {}, {}, {}
        self._members, self._loose, self._words = {}, {}, {}
        for word, name in messages:
            kind = KINDS.index(word)
            action = self.by_name.get(name)
            if action is None:
                action = self._add_action(sys.intern(name))
            action.known[kind] = True

    cdef Action _add_action(self, str name):
        cdef Action action = Action.__new__(Action)
        cdef Py_ssize_t size = 0
        cdef const char *text = PyUnicode_AsUTF8AndSize(name, &size)
        action.name = name
        for kind in range(3):
            action.roots[kind] = NONE
        if not ev_actions_add(&self.by_bytes, &self.schema, <const uint8_t *>text, <size_t>size,
                              <uint32_t>len(self.actions)):
            raise ValueError(f"action {name!r:.80}: too many, or too long")
        self.actions.append(action)
        self.by_name[name] = action
        return action

    def __repr__(self):
        return f"Tables({self.version!r})"

    # ---- looking up ----

    cdef Action action_of(self, const uint8_t *text, size_t size):
        """The action with these bytes, None if the version has no such one."""
        cdef uint32_t number = ev_actions_find(&self.by_bytes, &self.schema, text, size)
        return None if number == NONE else <Action>self.actions[number]

    cdef uint32_t root_of(self, Action action, int kind) except? 0xFFFFFFFE:
        """The root of an action's schema, compiled if need be; EV_SCHEMA_NONE: there is none of this kind."""
        if action.roots[kind] == NONE and action.known[kind]:
            self._compile(action, kind)
        return action.roots[kind]

    def root(self, str kind not None, str action not None):
        """The root node of a message's schema; None if this version does not know the message."""
        cdef Action known = self.by_name.get(action)
        cdef uint32_t root = NONE if known is None else self.root_of(known, KINDS.index(kind))
        return None if root == NONE else root

    def __sizeof__(self):
        """Bytes, the lists of names and nodes included; not the strings, which are shared."""
        own = ev_schema_size(&self.schema) + self.hint_room + (self.by_bytes.mask + 1) * sizeof(ev_schema_member)
        parts = (self.wire, self.snake, self.actions, self.by_name, self._names, self._kept, self._nodes)
        return own + sum(map(sys.getsizeof, parts)) + sum(map(sys.getsizeof, self._nodes))

    @property
    def counts(self):
        """(nodes, members, names) compiled so far."""
        return self.schema.node_count, self.schema.member_count, len(self.wire)

    cpdef dict members_of(self, uint32_t index):
        """Wire and snake names of an object's members -> their places."""
        cdef dict found = self._members.get(index)
        if found is None:
            found = {}
            for place, name in enumerate(self._name_list(index)):
                found[self.snake[name]] = place
            for place, name in enumerate(self._name_list(index)):
                found.setdefault(self.wire[name], place)
            self._members[index] = found
        return found

    cpdef dict loose_of(self, uint32_t index):
        """Names without underscores, in small letters -> places: how other packages cut words does not count."""
        cdef dict found = self._loose.get(index)
        if found is None:
            found = {self.wire[name].replace("_", "").lower(): place
                     for place, name in enumerate(self._name_list(index))}
            self._loose[index] = found
        return found

    cpdef dict words_of(self, uint32_t index):
        """Words of an enumeration -> their names."""
        cdef dict found = self._words.get(index)
        if found is None:
            found = self._words[index] = {self.wire[name]: name for name in self._name_list(index)}
        return found

    def node_of(self, uint32_t index, str member=None):
        """The node of a member (by wire or snake name) of an object, or of the items of a list."""
        if index >= self.schema.node_count:
            raise IndexError(f"no node {index}")
        if member is None:
            return self.schema.nodes[index].items
        return self.schema.members[self.schema.nodes[index].first + <uint32_t>self.members_of(index)[member]].node

    cdef list _name_list(self, uint32_t index):
        if index >= self.schema.node_count:
            raise IndexError(f"no node {index}")
        cdef const ev_schema_node *node = &self.schema.nodes[index]
        return [self.schema.members[node.first + i].name for i in range(node.count)]

    # ---- compiling ----

    def compile(self):
        """Compile every message that was not yet used."""
        for action in self.actions:
            for kind in range(3):
                self.root_of(<Action>action, kind)

    cdef int _compile(self, Action action, int kind) except -1:
        cdef _Compiler compiler = _Compiler.__new__(_Compiler)
        cdef uint32_t root
        with self._lock:
            if action.roots[kind] != NONE:  # another thread was first
                return 0
            document = self._load(KINDS[kind], action.name)
            compiler.tables, compiler.what = self, f"{action.name} ({KINDS[kind]})"
            if not isinstance(document, dict) or document.get("$schema") not in DRAFTS:
                raise compiler.wrong("expected an object with $schema of draft 4 or 6")
            compiler.integral = EV_NODE_INTEGRAL if DRAFTS[document["$schema"]] else 0
            compiler.definitions, compiler.done = document.get("definitions", {}), {}
            root = compiler.node(document)
            if self.schema.nodes[root].types != EV_TYPE_OBJECT:
                raise compiler.wrong("expected the type object")
            self._make_hints()
            action.roots[kind] = root
        return 0

    cdef int _make_hints(self) except -1:
        """Room for what the last messages looked like; the old hints are forgotten, the first messages make new ones.
        The block is never smaller than what the tables say, whoever reads next."""
        cdef uint32_t wanted = self.schema.hint_count
        cdef void *moved
        if wanted <= self.hint_room:
            return 0
        wanted += wanted // 2
        moved = PyMem_Realloc(self.hints, wanted)
        if moved == NULL:
            raise MemoryError
        self.hints = <uint8_t *>moved
        memset(self.hints + self.hint_room, 0, wanted - self.hint_room)
        self.hint_room = wanted
        return 0

    cdef uint32_t _name(self, dict names, object given) except? 0xFFFFFFFE:
        """The number of a name, given out when it is first seen; names: `_names` (has a snake name) or `_kept`."""
        cdef Py_ssize_t size = 0
        cdef uint32_t number
        cdef const char *bytes_
        cdef void *moved
        known = names.get(given)
        if known is not None:
            return known
        number = <uint32_t>len(self.wire)
        text = sys.intern(given)
        snake = sys.intern(self._snake(text)) if names is self._names else text
        if number == self._named_room:
            moved = PyMem_Realloc(self._named, (2 * number + 64) * sizeof(ev_schema_member))
            if moved == NULL:
                raise MemoryError
            self._named, self._named_room = <ev_schema_member *>moved, 2 * number + 64
        bytes_ = PyUnicode_AsUTF8AndSize(text, &size)
        self._named[number].text = ev_schema_text(&self.schema, <const uint8_t *>bytes_, <size_t>size)
        self._named[number].len, self._named[number].name, self._named[number].node = <uint32_t>size, number, 0
        if self._named[number].text == NONE:
            raise ValueError(f"a name of {size} bytes: {text:.40}...")
        self.wire.append(text)
        self.snake.append(snake)
        names[text] = number
        return number

    cdef uint32_t _add(self, ev_schema_node *node, const ev_schema_member *members,
                       size_t count) except? 0xFFFFFFFE:
        """The index of this node with these members; equal ones are one node."""
        cdef uint32_t index
        cdef bytes key = PyBytes_FromStringAndSize(NULL, sizeof(ev_schema_node) + count * sizeof(ev_schema_member))
        cdef char *room = PyBytes_AS_STRING(key)
        memcpy(room, node, sizeof(ev_schema_node))
        if count > 0:
            memcpy(room + sizeof(ev_schema_node), members, count * sizeof(ev_schema_member))
        known = self._nodes.get(key)
        if known is not None:
            return known
        index = ev_schema_add(&self.schema, node, members, count)
        if index == NONE:
            raise MemoryError
        self._nodes[key] = index
        return index
