# Included by ocpp_schema.pyx: the language of the schemas, and one document into nodes.

cdef dict TYPES = {
    "null": EV_TYPE_NULL,
    "boolean": EV_TYPE_BOOLEAN,
    "integer": EV_TYPE_INTEGER,
    "number": EV_TYPE_NUMBER | EV_TYPE_INTEGER,
    "string": EV_TYPE_STRING,
    "array": EV_TYPE_ARRAY,
    "object": EV_TYPE_OBJECT,
}
cdef dict FORMATS = {"date-time": EV_NODE_DATE_TIME, "uri": EV_NODE_URI}

cdef enum:
    INERT
    REF
    TYPE
    PROPERTIES
    REQUIRED
    ADDITIONAL
    ITEMS
    ENUM
    LOW_ITEMS
    HIGH_ITEMS
    LOW_LENGTH
    HIGH_LENGTH
    FORMAT
    MINIMUM
    MAXIMUM
    MULTIPLE

# What constrains nothing (additionalItems: not where `items` is one schema; definitions are read by their references),
# and what does.
cdef dict KEYWORDS = dict.fromkeys((
    "additionalItems", "definitions", "description", "javaType", "comment", "$comment", "title", "default", "$schema",
    "$id", "id",
), INERT) | {
    "$ref": REF,
    "type": TYPE,
    "properties": PROPERTIES,
    "required": REQUIRED,
    "additionalProperties": ADDITIONAL,
    "items": ITEMS,
    "enum": ENUM,
    "minItems": LOW_ITEMS,
    "maxItems": HIGH_ITEMS,
    "minLength": LOW_LENGTH,
    "maxLength": HIGH_LENGTH,
    "format": FORMAT,
    "minimum": MINIMUM,
    "maximum": MAXIMUM,
    "multipleOf": MULTIPLE,
}

cdef unsigned NUMERIC = EV_TYPE_NUMBER | EV_TYPE_INTEGER

# "$schema" -> is 1.0 an integer?
cdef dict DRAFTS = {
    "http://json-schema.org/draft-04/schema#": False,
    "http://json-schema.org/draft-06/schema#": True,
}


cdef class _Compiler:
    """One document on its way into the tables. done: definitions by name, None while one is being read."""

    cdef Tables tables
    cdef dict definitions, done
    cdef uint8_t integral
    cdef str what

    cdef object wrong(self, str detail):
        return ValueError(f"the schema of {self.what}: {detail}")

    cdef uint32_t node(self, object schema) except? 0xFFFFFFFE:
        cdef ev_schema_node node
        cdef unsigned needs = EV_TYPE_ANY
        cdef object properties = None, required = (), words = None, items = None
        if not isinstance(schema, dict):
            raise self.wrong(f"expected an object as schema, got {schema!r:.40}")
        memset(&node, 0, sizeof(node))
        node.minimum, node.maximum, node.high, node.types = -INFINITY, INFINITY, NONE, EV_TYPE_ANY
        for name, value in (<dict>schema).items():
            code = KEYWORDS.get(name)
            if code is None:
                raise self.wrong(f"no rule for the keyword {name!r:.40}")
            keyword = <int>code
            if keyword == INERT:
                continue
            elif keyword == REF:
                return self.reference(value)
            elif keyword == TYPE:
                node.types = <uint8_t>self.types(value)
            elif keyword == PROPERTIES:
                needs, properties = needs & EV_TYPE_OBJECT, value
            elif keyword == REQUIRED:
                needs, required = needs & EV_TYPE_OBJECT, value
            elif keyword == ITEMS:
                needs, items = needs & EV_TYPE_ARRAY, value
            elif keyword == ENUM:
                needs, words = needs & EV_TYPE_STRING, value
            else:
                needs &= self.limit(&node, keyword, value)
        if node.types & ~needs and needs != EV_TYPE_ANY:
            raise self.wrong(f"keywords that do not fit the type {(<dict>schema).get('type')!r:.40}")
        if node.types & EV_TYPE_INTEGER:
            node.flags |= self.integral
        if node.types == EV_TYPE_OBJECT:
            return self.members(&node, {} if properties is None else properties, required)
        node.flags &= ~EV_NODE_CLOSED
        if words is not None:
            return self.enumeration(&node, words)
        if items is not None:
            node.items = self.node(items)
        return EV_SCHEMA_ANY if node.types == EV_TYPE_ANY else self.tables._add(&node, NULL, 0)

    cdef unsigned types(self, object given) except? 0x200:
        cdef unsigned types = 0
        for name in given if isinstance(given, list) else (given,):
            found = TYPES.get(name)
            if found is None:
                raise self.wrong(f"no type {name!r:.40}")
            types |= <unsigned>found
        return types

    cdef uint32_t reference(self, object target) except? 0xFFFFFFFE:
        if not isinstance(target, str) or not (<str>target).startswith("#/definitions/"):
            raise self.wrong(f"no such reference: {target!r:.80}")
        cdef object known = self.done.get(target, 0)
        if known is None:
            raise self.wrong(f"{target!r:.80} refers to itself")
        if known != 0:
            return known
        self.done[target] = None
        name = (<str>target)[14:]
        if name not in self.definitions:
            raise self.wrong(f"no such reference: {target!r:.80}")
        known = self.node(self.definitions[name])
        if known != EV_SCHEMA_ANY:
            self.done[target] = known
        else:
            del self.done[target]
        return known

    cdef unsigned limit(self, ev_schema_node *node, int keyword, object value) except? 0x200:
        """Takes one limit into the node; the types that it is for."""
        if keyword == ADDITIONAL:
            if value is False:
                node.flags |= EV_NODE_CLOSED
            elif value is not True:
                raise self.wrong("a schema for additional properties")
            return EV_TYPE_ANY  # beside the enumerations of 2.x too, where it says nothing
        if keyword == HIGH_LENGTH or keyword == HIGH_ITEMS:
            node.high = self.count(value)
            return EV_TYPE_STRING if keyword == HIGH_LENGTH else EV_TYPE_ARRAY
        if keyword == LOW_LENGTH or keyword == LOW_ITEMS:
            node.low = self.count(value)
            return EV_TYPE_STRING if keyword == LOW_LENGTH else EV_TYPE_ARRAY
        if keyword == FORMAT:
            if value not in FORMATS:
                raise self.wrong(f"no format {value!r:.40}")
            node.flags |= <uint8_t>FORMATS[value]
            return EV_TYPE_STRING
        if keyword == MULTIPLE:
            if value != 0.1:
                raise self.wrong(f"multipleOf {value!r:.40}")
            node.flags |= EV_NODE_TENTH
            return NUMERIC
        if not isinstance(value, (int, float)) or not -(1 << 53) <= value <= 1 << 53:
            raise self.wrong(f"a limit of {value!r:.40}")
        node.flags |= EV_NODE_BOUNDED
        if keyword == MINIMUM:
            node.minimum = value
        else:
            node.maximum = value
        return NUMERIC

    cdef uint32_t count(self, object value) except? 0xFFFFFFFE:
        if not isinstance(value, int) or not 0 <= value < 1 << 31:
            raise self.wrong(f"a limit of {value!r:.40}")
        return value

    cdef uint32_t members(self, ev_schema_node *node, dict properties, object required) except? 0xFFFFFFFE:
        cdef ev_schema_member found[64]
        cdef dict names = self.tables._names if node.flags & EV_NODE_CLOSED else self.tables._kept
        cdef size_t count = 0, place
        if len(properties) > EV_MEMBERS_MAX:
            raise self.wrong(f"{len(properties)} properties in one object, at most {EV_MEMBERS_MAX}")
        for name, inner in properties.items():
            found[count] = self.tables._named[self.tables._name(names, name)]
            found[count].node = self.node(inner)
            count += 1
        for name in required:
            known = names.get(name)
            place = 0
            while place < count and (known is None or found[place].name != <uint32_t>known):
                place += 1
            if place == count:
                raise self.wrong(f"{name!r:.40} is required and no property")
            node.required |= <uint64_t>1 << place
        return self.tables._add(node, found, count)

    cdef uint32_t enumeration(self, ev_schema_node *node, object words) except? 0xFFFFFFFE:
        cdef ev_schema_member found[250]
        cdef size_t count = 0
        if not isinstance(words, list) or not 1 <= len(words) <= EV_WORDS_MAX:
            raise self.wrong(f"an enumeration of 1 to {EV_WORDS_MAX} strings expected")
        for word in dict.fromkeys(words):
            if not isinstance(word, str):
                raise self.wrong(f"{word!r:.40} in an enumeration")
            found[count] = self.tables._named[self.tables._name(self.tables._kept, word)]
            count += 1
        node.flags |= EV_NODE_WORDS
        return self.tables._add(node, found, count)
