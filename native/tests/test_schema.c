#include "check.h"
#include "evcore/schema.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int place(const ev_schema *schema, uint32_t index, const char *name) {
    return ev_schema_find(schema, &schema->nodes[index], (const uint8_t *)name, strlen(name));
}

/* An object with members n0, n1, ...; their names are as long as their numbers say. */
static uint32_t add_object(ev_schema *schema, size_t count) {
    ev_schema_member members[EV_MEMBERS_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        char name[EV_NAME_MAX + 1];
        memset(name, 'n', sizeof name);
        const int len = (int)i + snprintf(name + i, 8, "%zu", i);
        const uint32_t text = ev_schema_text(schema, (const uint8_t *)name, (size_t)len);
        members[i] = (ev_schema_member){.text = text, .len = (uint32_t)len, .name = (uint32_t)i};
    }
    const ev_schema_node object = {.types = EV_TYPE_OBJECT, .high = UINT32_MAX};
    return ev_schema_add(schema, &object, members, count);
}

static void each_name_of_a_node_is_found_and_no_other(void) {
    ev_schema schema;
    CHECK(ev_schema_open(&schema));
    CHECK(schema.node_count == 1 && schema.nodes[EV_SCHEMA_ANY].types == EV_TYPE_ANY);
    CHECK(place(&schema, EV_SCHEMA_ANY, "n0") == -1);
    uint32_t indices[EV_MEMBERS_MAX + 1];
    for (size_t count = 0; count <= EV_MEMBERS_MAX; count++)
        indices[count] = add_object(&schema, count);
    for (size_t count = 0; count <= EV_MEMBERS_MAX; count++) {
        for (size_t i = 0; i <= EV_MEMBERS_MAX; i++) {
            char name[EV_NAME_MAX + 1];
            memset(name, 'n', sizeof name);
            snprintf(name + i, 8, "%zu", i);
            CHECK(place(&schema, indices[count], name) == (i < count ? (int)i : -1));
            name[0] = 'm';
            CHECK(place(&schema, indices[count], name) == -1 || i == 0);
        }
        CHECK(place(&schema, indices[count], "") == -1);
    }
    CHECK(ev_schema_size(&schema) > sizeof schema);
    ev_schema_close(&schema);
}

static void what_is_too_large_is_refused_and_changes_nothing(void) {
    ev_schema schema;
    CHECK(ev_schema_open(&schema));
    uint8_t name[EV_NAME_MAX + 1];
    memset(name, 'x', sizeof name);
    CHECK(ev_schema_text(&schema, name, EV_NAME_MAX) != EV_SCHEMA_NONE);
    CHECK(ev_schema_text(&schema, name, EV_NAME_MAX + 1) == EV_SCHEMA_NONE);
    CHECK(add_object(&schema, EV_MEMBERS_MAX) == 1);
    CHECK(add_object(&schema, EV_MEMBERS_MAX + 1) == EV_SCHEMA_NONE);
    CHECK(schema.node_count == 2);
    ev_schema_close(&schema);
}

static void a_name_stands_between_its_quotes_with_the_colon(void) {
    ev_schema schema;
    CHECK(ev_schema_open(&schema));
    const uint32_t text = ev_schema_text(&schema, (const uint8_t *)"idTag", 5);
    CHECK(memcmp(schema.text + text - 1, "\"idTag\":", 8) == 0);
    ev_schema_close(&schema);
}

static void actions_are_found_by_their_bytes(void) {
    ev_schema schema;
    ev_actions actions;
    CHECK(ev_schema_open(&schema) && ev_actions_open(&actions, 100));
    for (uint32_t i = 0; i < 100; i++) {
        char name[16];
        CHECK(ev_actions_add(&actions, &schema, (uint8_t *)name, (size_t)snprintf(name, 16, "Action%u", i), i));
    }
    for (uint32_t i = 0; i < 101; i++) {
        char name[16];
        const size_t len = (size_t)snprintf(name, 16, "Action%u", i);
        CHECK(ev_actions_find(&actions, &schema, (uint8_t *)name, len) == (i < 100 ? i : EV_SCHEMA_NONE));
    }
    CHECK(ev_actions_find(&actions, &schema, NULL, 0) == EV_SCHEMA_NONE);
    CHECK(!ev_actions_add(&actions, &schema, NULL, 0, 1));
    ev_actions_close(&actions);
    ev_schema_close(&schema);
}

static void a_full_table_of_actions_says_so(void) {
    ev_schema schema;
    ev_actions actions;
    CHECK(ev_schema_open(&schema) && ev_actions_open(&actions, 1));
    int added = 0;
    for (char name = 'a'; name <= 'z'; name++)
        added += ev_actions_add(&actions, &schema, (uint8_t *)&name, 1, 0);
    CHECK(added >= 1 && added < 26);
    CHECK(ev_actions_find(&actions, &schema, (const uint8_t *)"~", 1) == EV_SCHEMA_NONE);
    ev_actions_close(&actions);
    ev_schema_close(&schema);
}

int main(void) {
    each_name_of_a_node_is_found_and_no_other();
    what_is_too_large_is_refused_and_changes_nothing();
    a_name_stands_between_its_quotes_with_the_colon();
    actions_are_found_by_their_bytes();
    a_full_table_of_actions_says_so();
    CHECK_DONE();
}
