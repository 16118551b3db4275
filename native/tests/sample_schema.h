/* A schema with every rule in it, for the tests and the fuzz target of payload.h. */
#ifndef EVCORE_SAMPLE_SCHEMA_H
#define EVCORE_SAMPLE_SCHEMA_H

#include "evcore/schema.h"
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_NAMES = 32 }; /* names are given out by the text, see sample_names */

/* A member or word in the making. */
typedef struct {
    const char *name;
    uint32_t node;
} sample_member;

static const char *sample_names[SAMPLE_NAMES];
static uint32_t sample_name_count;

/* The number of a name, the same for the same text. */
static uint32_t sample_name(const char *text) {
    for (uint32_t i = 0; i < sample_name_count; i++)
        if (strcmp(sample_names[i], text) == 0) return i;
    if (sample_name_count == SAMPLE_NAMES) abort();
    sample_names[sample_name_count] = text;
    return sample_name_count++;
}

static uint32_t sample_add(ev_schema *schema, ev_schema_node node, const sample_member *given, size_t count) {
    ev_schema_member members[EV_WORDS_MAX] = {{0}};
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(given[i].name);
        const uint32_t text = ev_schema_text(schema, (const uint8_t *)given[i].name, len);
        if (text == EV_SCHEMA_NONE) abort();
        members[i] = (ev_schema_member){
            .text = text, .len = (uint32_t)len, .name = sample_name(given[i].name), .node = given[i].node};
    }
    const uint32_t index = ev_schema_add(schema, &node, members, count);
    if (index == EV_SCHEMA_NONE) abort();
    return index;
}

static uint32_t sample_leaf(ev_schema *schema, unsigned types, unsigned flags, uint32_t low, uint32_t high) {
    const ev_schema_node node = {
        .types = (uint8_t)types, .flags = (uint8_t)flags, .low = low, .high = high, .minimum = 0, .maximum = 100};
    return sample_add(schema, node, NULL, 0);
}

/* Builds it; returns its root, a closed object whose "name" is required. "sub" is an open object that needs "vendorId"
 * and may hold a list of itself-like objects. */
static uint32_t sample_schema(ev_schema *schema) {
    const uint32_t none = UINT32_MAX;
    if (!ev_schema_open(schema)) abort();
    const sample_member words[] = {
        {"A", 0}, {"Bee", 0}, {"Zeh.", 0}, {"Energy.Active.Import.Register", 0}, {"\xc3\xa9", 0}};
    const ev_schema_node word = {.types = EV_TYPE_STRING, .flags = EV_NODE_WORDS, .high = none};
    const ev_schema_node leaf_list = {
        .types = EV_TYPE_ARRAY, .low = 1, .high = 3, .items = sample_leaf(schema, EV_TYPE_STRING, 0, 0, 2)};
    const sample_member inner[] = {{"vendorId", sample_leaf(schema, EV_TYPE_STRING, 0, 0, 4)},
                                   {"n", sample_leaf(schema, EV_TYPE_INTEGER, 0, 0, none)}};
    const ev_schema_node open_object = {.types = EV_TYPE_OBJECT, .required = 1, .high = none};
    const uint32_t sub = sample_add(schema, open_object, inner, 2);
    const ev_schema_node sub_list = {.types = EV_TYPE_ARRAY, .high = none, .items = sub};
    const sample_member members[] = {
        {"name", sample_leaf(schema, EV_TYPE_STRING, 0, 1, 5)},
        {"kind", sample_add(schema, word, words, 5)},
        {"n", sample_leaf(schema, EV_TYPE_INTEGER, EV_NODE_BOUNDED, 0, none)},
        {"whole", sample_leaf(schema, EV_TYPE_INTEGER, EV_NODE_INTEGRAL, 0, none)},
        {"limit", sample_leaf(schema, EV_TYPE_NUMBER | EV_TYPE_INTEGER, EV_NODE_TENTH, 0, none)},
        {"share", sample_leaf(schema, EV_TYPE_NUMBER | EV_TYPE_INTEGER, EV_NODE_BOUNDED, 0, none)},
        {"list", sample_add(schema, leaf_list, NULL, 0)},
        {"sub", sub},
        {"subs", sample_add(schema, sub_list, NULL, 0)},
        {"flag", sample_leaf(schema, EV_TYPE_BOOLEAN, 0, 0, none)},
        {"free", EV_SCHEMA_ANY},
        {"time", sample_leaf(schema, EV_TYPE_STRING, EV_NODE_DATE_TIME, 0, none)},
        {"link", sample_leaf(schema, EV_TYPE_STRING, EV_NODE_URI, 0, none)},
        {"gone", sample_leaf(schema, EV_TYPE_NULL | EV_TYPE_STRING, 0, 0, none)},
    };
    const ev_schema_node root = {.types = EV_TYPE_OBJECT, .flags = EV_NODE_CLOSED, .required = 1, .high = none};
    return sample_add(schema, root, members, sizeof members / sizeof *members);
}

#endif
