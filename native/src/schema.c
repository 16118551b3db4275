#include "evcore/schema.h"
#include "schema_scan.h"
#include <stdlib.h>

/* Room for `more` items after `count` of them; the array may move. */
static bool grow(void **items, uint32_t *room, uint32_t count, size_t more, size_t size) {
    if (more > UINT32_MAX / 2 - count) return false;
    if (count + more <= *room) return true;
    const size_t wanted = (count + more) + (count + more) / 2 + 16;
    void *moved = realloc(*items, wanted * size);
    if (moved == NULL) return false;
    *items = moved;
    *room = (uint32_t)wanted;
    return true;
}

int ev_schema_open(ev_schema *schema) {
    memset(schema, 0, sizeof *schema);
    const ev_schema_node any = {.types = EV_TYPE_ANY, .high = UINT32_MAX};
    /* No array is NULL, so that an empty range of any may be formed. */
    if (grow((void **)&schema->members, &schema->member_room, 0, 1, sizeof *schema->members) &&
        grow((void **)&schema->slots, &schema->slot_room, 0, 1, 1) &&
        grow((void **)&schema->text, &schema->text_room, 0, 1, 1) && ev_schema_add(schema, &any, NULL, 0) == 0)
        return 1;
    ev_schema_close(schema);
    return 0;
}

void ev_schema_close(ev_schema *schema) {
    free(schema->nodes);
    free(schema->members);
    free(schema->slots);
    free(schema->text);
    memset(schema, 0, sizeof *schema);
}

uint32_t ev_schema_text(ev_schema *schema, const uint8_t *name, size_t len) {
    if (len > EV_NAME_MAX) return EV_SCHEMA_NONE;
    if (!grow((void **)&schema->text, &schema->text_room, schema->text_len, len + 3 + EV_NAME_SLACK, 1))
        return EV_SCHEMA_NONE;
    uint8_t *text = schema->text + schema->text_len;
    const uint32_t place = schema->text_len + 1;
    *text++ = '"';
    if (len > 0) memcpy(text, name, len);
    memcpy(text + len, "\":", 2);
    schema->text_len += (uint32_t)len + 3;
    return place;
}

/* The smallest power of two that leaves three quarters of the slots free: most names are found at once. */
static size_t slots_for(size_t count) {
    size_t slots = 1;
    while (slots < 4 * count)
        slots *= 2;
    return slots;
}

static void fill_slots(ev_schema *schema, const ev_schema_node *node) {
    uint8_t *slots = schema->slots + node->slots;
    for (uint32_t i = 0; i < node->count; i++) {
        const ev_schema_member *member = &schema->members[node->first + i];
        uint32_t at = ev_hash(schema->text + member->text, member->len) & node->mask;
        while (slots[at] != 0)
            at = (at + 1) & node->mask;
        slots[at] = (uint8_t)(i + 1);
    }
}

uint32_t ev_schema_add(ev_schema *schema, const ev_schema_node *node, const ev_schema_member *members, size_t count) {
    const bool object = (node->types & EV_TYPE_OBJECT) != 0;
    const size_t slots = count == 0 ? 0 : slots_for(count);
    if (count > (object ? (size_t)EV_MEMBERS_MAX : (size_t)EV_WORDS_MAX)) return EV_SCHEMA_NONE;
    if (!grow((void **)&schema->nodes, &schema->node_room, schema->node_count, 1, sizeof *node)) return EV_SCHEMA_NONE;
    if (!grow((void **)&schema->members, &schema->member_room, schema->member_count, count, sizeof *members))
        return EV_SCHEMA_NONE;
    if (!grow((void **)&schema->slots, &schema->slot_room, schema->slot_count, slots, 1)) return EV_SCHEMA_NONE;
    ev_schema_node *added = &schema->nodes[schema->node_count];
    *added = *node;
    added->first = schema->member_count;
    added->slots = schema->slot_count;
    added->hints = schema->hint_count;
    added->count = (uint16_t)count;
    added->mask = (uint16_t)(slots == 0 ? 0 : slots - 1);
    if (count > 0) memcpy(schema->members + schema->member_count, members, count * sizeof *members);
    if (slots > 0) memset(schema->slots + schema->slot_count, 0, slots);
    schema->member_count += (uint32_t)count;
    schema->slot_count += (uint32_t)slots;
    schema->hint_count += object ? (uint32_t)count + 1 : 0;
    if (count > 0) fill_slots(schema, added);
    return schema->node_count++;
}

size_t ev_schema_size(const ev_schema *schema) {
    return sizeof *schema + schema->node_room * sizeof *schema->nodes + schema->member_room * sizeof *schema->members +
           schema->slot_room + schema->text_room;
}

int ev_schema_find(const ev_schema *schema, const ev_schema_node *node, const uint8_t *name, size_t len) {
    return ev_find(schema, node, name, len);
}

int ev_actions_open(ev_actions *actions, size_t count) {
    const size_t slots = slots_for(count + 1);
    actions->slots = slots > UINT32_MAX / 2 ? NULL : calloc(slots, sizeof *actions->slots);
    actions->mask = (uint32_t)slots - 1;
    actions->count = 0;
    return actions->slots != NULL;
}

void ev_actions_close(ev_actions *actions) {
    free(actions->slots);
    memset(actions, 0, sizeof *actions);
}

static ev_schema_member *find_slot(const ev_actions *actions, const ev_schema *schema, const uint8_t *action,
                                   size_t len) {
    uint32_t at = ev_hash(action, len) & actions->mask;
    for (; actions->slots[at].len != 0; at = (at + 1) & actions->mask) {
        const ev_schema_member *slot = &actions->slots[at];
        if (slot->len == len && ev_same(schema->text + slot->text, action, len)) break;
    }
    return &actions->slots[at];
}

int ev_actions_add(ev_actions *actions, ev_schema *schema, const uint8_t *action, size_t len, uint32_t number) {
    if (len == 0 || actions->count == actions->mask) return 0;
    const uint32_t text = ev_schema_text(schema, action, len);
    if (text == EV_SCHEMA_NONE) return 0;
    ev_schema_member *slot = find_slot(actions, schema, action, len);
    actions->count += slot->len == 0;
    *slot = (ev_schema_member){.text = text, .len = (uint32_t)len, .name = number};
    return 1;
}

uint32_t ev_actions_find(const ev_actions *actions, const ev_schema *schema, const uint8_t *action, size_t len) {
    if (len == 0) return EV_SCHEMA_NONE;
    const ev_schema_member *slot = find_slot(actions, schema, action, len);
    return slot->len == 0 ? EV_SCHEMA_NONE : slot->name;
}
