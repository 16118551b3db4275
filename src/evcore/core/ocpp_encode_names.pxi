# What the messages of one version have in common on their way out, beside the tables: names, words, guesses.

cdef enum:
    WORDS = 1024  # of enumerations, that are known by their pointers

# The member that is expected next, most objects being written as the one before. key: a name that the tables own, so that
# the same pointer is the same name; NULL: nothing is expected.
cdef struct Guess:
    PyObject *key
    uint32_t text
    uint32_t node
    uint16_t len
    uint8_t place

# An object on its way out. guess: where the member expected next stands, first: that of the first one. required, seen: bits
# of members. loose: it is a dataclass, or in one.
cdef struct Members:
    uint64_t required
    uint64_t seen
    uint32_t node
    uint32_t first
    uint32_t guess
    bint loose

# A str that was found among the words of a node. text: owned; the same pointer again needs no look at its characters.
cdef struct Word:
    PyObject *text
    uint32_t node


cdef inline bint same_text(PyObject *given, PyObject *name):
    """Are both ASCII strings of the same characters? False for anything else; name may be NULL."""
    cdef Py_ssize_t size
    if name == NULL or not PyUnicode_CheckExact(<object>given) or not PyUnicode_IS_COMPACT_ASCII(<object>given):
        return False
    size = PyUnicode_GET_LENGTH(<object>name)
    if PyUnicode_GET_LENGTH(<object>given) != size or not PyUnicode_IS_COMPACT_ASCII(<object>name):
        return False
    return memcmp(PyUnicode_1BYTE_DATA(<object>given), PyUnicode_1BYTE_DATA(<object>name), <size_t>size) == 0


@cython.final
cdef class _Head:
    """tail: what follows the message id, up to the payload: `,"Action",`. root: the node of the payload."""

    cdef bytes tail
    cdef uint32_t root


cdef class _Names:
    """heads: by kind of message (as in ocpp_schema.pxd), action -> _Head. by_node, loose: node -> its `members_of` and
    `loose_of`, None until used. guesses: of each node, laid out as the hints of the tables."""

    cdef Tables tables
    cdef list heads, by_node, loose
    cdef Guess *guesses
    cdef uint32_t room
    cdef Word words[WORDS]

    def __cinit__(self, Tables tables not None):
        self.tables, self.heads, self.by_node, self.loose = tables, [{}, {}, {}], [], []
        self.make_room()

    def __dealloc__(self):
        PyMem_Free(self.guesses)
        for i in range(WORDS):
            Py_XDECREF(self.words[i].text)

    def __sizeof__(self):
        return sizeof(Word) * WORDS + sizeof(Guess) * self.room + 2 * 8 * len(self.by_node)

    cdef int make_room(self) except -1:
        """As the tables grew. While a message is written they may grow again, but not for its own nodes."""
        cdef uint32_t wanted = self.tables.schema.hint_count
        cdef Py_ssize_t missing
        cdef void *moved
        if wanted > self.room:
            wanted += wanted // 2
            moved = PyMem_Realloc(self.guesses, wanted * sizeof(Guess))
            if moved == NULL:
                raise MemoryError
            self.guesses = <Guess *>moved
            memset(self.guesses + self.room, 0, (wanted - self.room) * sizeof(Guess))
            self.room = wanted
        missing = <Py_ssize_t>self.tables.schema.node_count - PyList_GET_SIZE(self.by_node)
        if missing > 0:
            self.by_node.extend([None] * missing)
            self.loose.extend([None] * missing)
        return 0

    cdef _Head head(self, int kind, object action):
        """None: the version does not know it."""
        cdef PyObject *known = PyDict_GetItemWithError(<dict>PyList_GET_ITEM(self.heads, kind), action)
        return <_Head>known if known != NULL else self.new_head(kind, action)

    cdef _Head new_head(self, int kind, object action):
        cdef _Head head
        root = self.tables.root(_KINDS[kind], PyUnicode_FromObject(action))
        if root is None:
            return None
        self.make_room()
        head = _Head.__new__(_Head)
        head.tail = b"," if kind == RESPONSE else b',"%s",' % str(action).encode()
        head.root = root
        self.heads[kind][action] = head
        return head

    cdef inline bint has_word(self, uint32_t index, PyObject *value, const uint8_t *text, size_t size):
        """Is it among the words of the node?"""
        cdef Word *word = &self.words[(<size_t>value >> 4 ^ index * 31) & (WORDS - 1)]
        if word.text == value and word.node == index:
            return True
        if ev_schema_find(&self.tables.schema, &self.tables.schema.nodes[index], text, size) < 0:
            return False
        if PyUnicode_CheckExact(<object>value):  # the end of another one may run Python
            Py_INCREF(<object>value)
            Py_XDECREF(word.text)
            word.text, word.node = value, index
        return True

    cdef bint look_up(self, object key, Members *members) except -1:
        """Makes the member with this wire or snake name the one expected; False: the schema has no such one."""
        cdef const ev_schema_node *node
        cdef const ev_schema_member *member
        cdef Guess *expected
        cdef PyObject *found
        cdef PyObject *name
        if not PyUnicode_Check(key):
            raise TypeError(f"names of members are str, got {type(key).__name__}")
        key = PyUnicode_FromObject(key)
        found = PyDict_GetItemWithError(self.names_of(members.node), key)
        if found == NULL and members.loose:
            found = PyDict_GetItemWithError(self.loose_names_of(members.node), key.replace("_", "").lower())
        if found == NULL:
            return False
        node = &self.tables.schema.nodes[members.node]
        expected = &self.guesses[members.guess]
        expected.place = <uint8_t><object>found
        member = &self.tables.schema.members[node.first + expected.place]
        name = borrow_item(self.tables.snake, member.name)
        expected.key = name if same_text(<PyObject *>key, name) else borrow_item(self.tables.wire, member.name)
        expected.text, expected.len, expected.node = member.text - 1, <uint16_t>(member.len + 3), member.node
        return True

    cdef dict names_of(self, uint32_t index):
        """`members_of`, kept; a name that JSON must escape is refused here, once."""
        found = self.by_node[index]
        if found is None:
            found = self.tables.members_of(index)
            for name in found:
                if not (<str>name).isprintable() or '"' in name or "\\" in name:
                    raise ValueError(f"a schema with the name {name!r:.40}")
            self.by_node[index] = found
        return found

    cdef dict loose_names_of(self, uint32_t index):
        found = self.loose[index]
        if found is None:
            found = self.loose[index] = self.tables.loose_of(index)
        return found
