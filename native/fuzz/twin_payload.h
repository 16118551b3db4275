/* What does the schema say of a payload? A twin of payload.c written the other way round: the text becomes a tree in
 * memory, of members that are there twice only the last stays, and the tree is judged. Slow; only to be held against.
 * The text is known to be JSON. Numbers by strtod, names and words by strcmp. */
#ifndef EVCORE_TWIN_PAYLOAD_H
#define EVCORE_TWIN_PAYLOAD_H

#include "evcore/schema.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct tree tree;
struct tree {
    char kind;  /* first byte of the value, 0 for a digit */
    char *text; /* of a string: decoded; of a number: as it is */
    char *name; /* of a member: decoded */
    size_t len, name_len, points;
    tree *first, *next;
};

typedef struct {
    const uint8_t *at;
} twin_reader;

static void *twin_room(size_t size) {
    void *room = calloc(1, size);
    if (room == NULL) abort();
    return room;
}

static void twin_free(tree *t) {
    while (t != NULL) {
        tree *next = t->next;
        twin_free(t->first);
        free(t->text);
        free(t->name);
        free(t);
        t = next;
    }
}

static void twin_blank(twin_reader *r) {
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')
        r->at++;
}

static unsigned twin_unit(twin_reader *r) {
    char digits[5] = {0};
    memcpy(digits, r->at, 4);
    r->at += 4;
    return (unsigned)strtoul(digits, NULL, 16);
}

/* A string from its quote on, decoded; *points: its code points. */
static char *tree_string(twin_reader *r, size_t *len, size_t *points) {
    const uint8_t *end = r->at + 1;
    while (*end != '"')
        end += *end == '\\' ? 2 : 1;
    char *out = twin_room((size_t)(end - r->at) + 4), *to = out;
    *points = 0;
    for (r->at++; *r->at != '"'; ++*points) {
        uint32_t point = *r->at++;
        if (point >= 0x80) {
            *to++ = (char)point;
            while ((*r->at & 0xC0) == 0x80)
                *to++ = (char)*r->at++;
            continue;
        }
        if (point == '\\') {
            const char *names = "bfnrt", *values = "\b\f\n\r\t", *found = strchr(names, *r->at);
            point = found != NULL ? (uint32_t)values[found - names] : *r->at;
            if (*r->at++ == 'u') {
                point = twin_unit(r);
                if (point >= 0xD800 && point < 0xE000) {
                    r->at += 2;
                    point = 0x10000 + ((point & 0x3FF) << 10 | (twin_unit(r) & 0x3FF));
                }
            }
        }
        if (point < 0x80) {
            *to++ = (char)point;
        } else {
            const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
            *to++ = (char)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | point >> (6 * more));
            for (int i = more - 1; i >= 0; i--)
                *to++ = (char)(0x80 | (point >> (6 * i) & 0x3F));
        }
    }
    r->at++;
    *len = (size_t)(to - out);
    return out;
}

static tree *twin_read(twin_reader *r);

/* Adds a member or item; a member of the same name gives way to it. */
static void twin_put(tree *parent, tree **last, tree *child) {
    for (tree **old = &parent->first; child->name != NULL && *old != NULL; old = &(*old)->next) {
        if ((*old)->name_len != child->name_len || memcmp((*old)->name, child->name, child->name_len) != 0) continue;
        tree *gone = *old;
        if (*last == gone) *last = NULL;
        *old = gone->next;
        gone->next = NULL;
        twin_free(gone);
        break;
    }
    tree **end = &parent->first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = *last = child;
}

static tree *twin_read_all(twin_reader *r, tree *t) {
    tree *last = NULL;
    const uint8_t close = *r->at == '{' ? '}' : ']';
    for (r->at++, twin_blank(r); *r->at != close; twin_blank(r)) {
        if (*r->at == ',') {
            r->at++;
            twin_blank(r);
        }
        char *name = NULL;
        size_t name_len = 0, points;
        if (close == '}') {
            name = tree_string(r, &name_len, &points);
            twin_blank(r);
            r->at++; /* the colon */
            twin_blank(r);
        }
        tree *child = twin_read(r);
        child->name = name;
        child->name_len = name_len;
        t->len++;
        twin_put(t, &last, child);
    }
    r->at++;
    return t;
}

static tree *twin_read(twin_reader *r) {
    tree *t = twin_room(sizeof *t);
    t->kind = (char)*r->at;
    if (t->kind == '{' || t->kind == '[') return twin_read_all(r, t);
    if (t->kind == '"') {
        t->text = tree_string(r, &t->len, &t->points);
        return t;
    }
    const uint8_t *start = r->at;
    while (*r->at != 0 && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *r->at) != NULL)
        r->at++;
    t->len = (size_t)(r->at - start);
    t->text = twin_room(t->len + 1);
    memcpy(t->text, start, t->len);
    return t;
}

/* By its decimal digits: written without an exponent, is there nothing behind the first place? */
static bool twin_is_tenth(const char *text) {
    const char *e = strpbrk(text, "eE");
    const double exponent = e == NULL ? 0 : strtod(e + 1, NULL);
    const char *point = strchr(text, '.'), *end = e == NULL ? text + strlen(text) : e;
    double place = exponent + (double)(point == NULL ? end - text : point - text) - 1; /* 10^place: the first byte */
    for (const char *p = text; p < end; p++) {
        if (*p == '.') continue;
        if (*p != '-' && *p != '0' && place < -1) return false;
        place--;
    }
    return true;
}

static bool twin_judge(const ev_schema *schema, uint32_t index, const tree *t);

static bool is_whole(double value) {
    return value > 1e16 || value < -1e16 || value == (double)(int64_t)value;
}

static bool tree_number(const ev_schema_node *node, const tree *t) {
    const bool real = strpbrk(t->text, ".eE") != NULL;
    const double value = strtod(t->text, NULL);
    const bool whole = !real || (node->flags & EV_NODE_INTEGRAL && is_whole(value));
    if (!(node->types & EV_TYPE_NUMBER) && !(whole && node->types & EV_TYPE_INTEGER)) return false;
    if (node->flags & EV_NODE_BOUNDED && (value < node->minimum || value > node->maximum)) return false;
    return !(node->flags & EV_NODE_TENTH) || twin_is_tenth(t->text);
}

static bool twin_is_name(const ev_schema *schema, const ev_schema_member *member, const char *text, size_t len) {
    return member->len == len && memcmp(schema->text + member->text, text, len) == 0;
}

static bool twin_words(const ev_schema *schema, const ev_schema_node *node, const tree *t) {
    bool found = !(node->flags & EV_NODE_WORDS);
    for (uint32_t i = 0; i < node->count && node->flags & EV_NODE_WORDS; i++)
        found |= twin_is_name(schema, &schema->members[node->first + i], t->text, t->len);
    return found && t->points >= node->low && t->points <= node->high;
}

static bool twin_object(const ev_schema *schema, const ev_schema_node *node, const tree *t) {
    uint64_t seen = 0;
    for (const tree *child = t->first; child != NULL; child = child->next) {
        uint32_t i = 0;
        while (i < node->count &&
               !twin_is_name(schema, &schema->members[node->first + i], child->name, child->name_len))
            i++;
        if (i == node->count && node->flags & EV_NODE_CLOSED) return false;
        if (i == node->count) continue;
        seen |= UINT64_C(1) << i;
        if (!twin_judge(schema, schema->members[node->first + i].node, child)) return false;
    }
    return (node->required & ~seen) == 0;
}

static bool twin_judge(const ev_schema *schema, uint32_t index, const tree *t) {
    const ev_schema_node *node = &schema->nodes[index];
    if (index == EV_SCHEMA_ANY) return true;
    switch (t->kind) {
    case '{':
        return node->types & EV_TYPE_OBJECT && twin_object(schema, node, t);
    case '[':
        if (!(node->types & EV_TYPE_ARRAY) || t->len < node->low || t->len > node->high) return false;
        for (const tree *child = t->first; child != NULL; child = child->next)
            if (!twin_judge(schema, node->items, child)) return false;
        return true;
    case '"':
        return node->types & EV_TYPE_STRING && twin_words(schema, node, t);
    case 't':
    case 'f':
        return node->types & EV_TYPE_BOOLEAN;
    case 'n':
        return node->types & EV_TYPE_NULL;
    default:
        return tree_number(node, t);
    }
}

/* text: JSON without a NUL byte, which ends with one. null: an empty object. */
static bool twin_is_valid(const ev_schema *schema, uint32_t root, const uint8_t *text) {
    twin_reader r = {text};
    tree *t = twin_read(&r);
    if (t->kind == 'n') t->kind = '{';
    const bool valid = twin_judge(schema, root, t);
    twin_free(t);
    return valid;
}

#endif
