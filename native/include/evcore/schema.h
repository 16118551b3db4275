/* JSON schemas as flat tables: what a value may be, node by node, made once at run time and then only read.
 *
 * A schema is four growing arrays (nodes, members, slots, text). A node is named by its index, a member by its index
 * among all members, a name (of a member, or a word of an enumeration) by a number that the maker gives out: equal
 * numbers mean equal text. The language is the part of JSON Schema drafts 4 and 6 that OCPP uses; the maker (core/
 * ocpp_schema.pyx) refuses what is not in it. Only the functions that add change a schema: not to be called while
 * another thread reads it. */
#ifndef EVCORE_SCHEMA_H
#define EVCORE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

/* Kinds of value, as bits. */
enum {
    EV_TYPE_NULL = 1,
    EV_TYPE_BOOLEAN = 2,
    EV_TYPE_INTEGER = 4, /* no '.', no exponent */
    EV_TYPE_NUMBER = 8,  /* any number */
    EV_TYPE_STRING = 16,
    EV_TYPE_ARRAY = 32,
    EV_TYPE_OBJECT = 64,
    EV_TYPE_ANY = 127,
};

enum {
    EV_NODE_CLOSED = 1,     /* object: no members but those it lists */
    EV_NODE_INTEGRAL = 2,   /* 1.0 is an integer (JSON Schema draft 6, 6.1.1; not draft 4, 3.5) */
    EV_NODE_TENTH = 4,      /* number: a multiple of 0.1 by its digits */
    EV_NODE_BOUNDED = 8,    /* number: minimum and maximum count */
    EV_NODE_DATE_TIME = 16, /* string: RFC 3339, 5.6 */
    EV_NODE_URI = 32,       /* string: RFC 3986, 3 */
    EV_NODE_WORDS = 64,     /* string: one of its words */
};

enum {
    EV_SCHEMA_ANY = 0,   /* the node of every new schema: anything */
    EV_MEMBERS_MAX = 64, /* of one object: they are a mask of 64 bits */
    EV_WORDS_MAX = 250,  /* of one enumeration */
    EV_NAME_MAX = 255,   /* bytes of a name */
    EV_NAME_SLACK = 32,  /* bytes that may be read from a name on, whatever its length: so it can be copied at once */
};

#define EV_SCHEMA_NONE UINT32_MAX

typedef struct {
    uint64_t required;       /* object: bit i: its i-th member must be there */
    double minimum, maximum; /* number; within 2^53, so that integers compare exactly */
    uint32_t low, high;      /* string: code points; array: items; both inclusive, high UINT32_MAX: no limit */
    uint32_t items;          /* array: their node */
    uint32_t first;          /* object: its members; string: its words */
    uint32_t slots;          /* hash table over them, mask + 1 slots; 0 an empty one, else 1 + place */
    uint32_t hints;          /* object: count + 1 hints of the caller (payload.h) */
    uint16_t count, mask;
    uint8_t types, flags;
} ev_schema_node;

/* A member of an object, or a word of an enumeration (node 0, unused). */
typedef struct {
    uint32_t text; /* its bytes in ev_schema.text, between a quote before and `":` after */
    uint32_t len;  /* of the bare name */
    uint32_t name;
    uint32_t node;
} ev_schema_member;

typedef struct {
    ev_schema_node *nodes;
    ev_schema_member *members;
    uint8_t *slots, *text;
    uint32_t node_count, member_count, slot_count, text_len, hint_count;
    uint32_t node_room, member_room, slot_room, text_room;
} ev_schema;

/* An empty schema: node 0, EV_SCHEMA_ANY. 0: no memory. */
int ev_schema_open(ev_schema *schema);
void ev_schema_close(ev_schema *schema);

/* Keeps a name; returns its place (ev_schema_member.text), EV_SCHEMA_NONE: no memory, or longer than EV_NAME_MAX. */
uint32_t ev_schema_text(ev_schema *schema, const uint8_t *name, size_t len);

/* Adds a node with its members or words; first, slots, mask, hints and count are filled in. Returns its index,
 * EV_SCHEMA_NONE: no memory, or too many members. */
uint32_t ev_schema_add(ev_schema *schema, const ev_schema_node *node, const ev_schema_member *members, size_t count);

/* Bytes held. */
size_t ev_schema_size(const ev_schema *schema);

/* Place (0 .. count-1) of a member or word of a node by its bytes, -1: it has no such one. */
int ev_schema_find(const ev_schema *schema, const ev_schema_node *node, const uint8_t *name, size_t len);

/* ---- the messages of one version of a protocol, by action ---- */

/* An open-addressed table from actions to numbers; owned and written as a schema is. */
typedef struct {
    ev_schema_member *slots; /* text in schema->text, name: the number given; len 0: empty */
    uint32_t mask, count;
} ev_actions;

/* 0: no memory, or full. */
int ev_actions_open(ev_actions *actions, size_t count);
void ev_actions_close(ev_actions *actions);
int ev_actions_add(ev_actions *actions, ev_schema *schema, const uint8_t *action, size_t len, uint32_t number);
/* The number of an action, EV_SCHEMA_NONE: not there. */
uint32_t ev_actions_find(const ev_actions *actions, const ev_schema *schema, const uint8_t *action, size_t len);

#endif
