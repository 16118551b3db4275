/* Any bytes as a payload under a schema with every rule: no over-read, the verdict of a slow and simple twin, the same
 * with and without tape and hints, and a tape that can be walked from end to end. */
#include "../tests/sample_schema.h"
#include "evcore/payload.h"
#include "twin_json.h"
#include "twin_payload.h"

enum { NODES = 2000, DEPTH = 32 };

static ev_schema schema;
static uint32_t root;
static uint8_t hints[256];

static void must(int condition) {
    if (!condition) abort();
}

static double real(const uint8_t *text, size_t len) {
    char *copy = twin_room(len + 1);
    memcpy(copy, text, len);
    const double value = strtod(copy, NULL);
    free(copy);
    return value;
}

typedef struct {
    ev_json_status status;
    size_t at, nodes;
    ev_payload_result result;
} outcome;

static outcome run(const uint8_t *data, size_t size, uint8_t *known, ev_tape **tape) {
    const ev_payload_rules rules = {.schema = &schema, .hints = known, .real = real, .depth = DEPTH};
    outcome o = {.nodes = NODES};
    o.status = ev_payload_read(data, size, root, &rules, &o.nodes, tape, &o.at, &o.result);
    return o;
}

static void must_equal(const outcome *a, const outcome *b) {
    const ev_violation *x = &a->result.first, *y = &b->result.first;
    must(a->status == b->status && a->at == b->at && a->nodes == b->nodes);
    if (a->status != EV_JSON_OK) return;
    must(a->result.repeated == b->result.repeated && x->rule == y->rule && x->node == y->node);
    must(x->member == y->member && x->at == y->at && x->count == y->count);
}

/* Steps over one value. */
static const ev_tape *walk(const ev_tape *at, const ev_tape *end, size_t size) {
    must(at < end);
    const ev_tape *entry = at++;
    must(entry->kind != EV_TAPE_KEY && (entry->key == EV_TAPE_NO_KEY || entry->key < sample_name_count));
    if (entry->kind == EV_TAPE_WORD) must(entry->size < sample_name_count);
    if (entry->kind < EV_TAPE_WORD) must(entry->at <= size && entry->size <= size - entry->at);
    if (entry->kind != EV_TAPE_OBJECT && entry->kind != EV_TAPE_ARRAY) return at;
    for (uint32_t i = 0; i < entry->size; i++) {
        must(at < end);
        if (entry->kind == EV_TAPE_OBJECT && at->kind == EV_TAPE_KEY)
            must(at->at <= size && at->size <= size - at->at && (++at)->key == EV_TAPE_NO_KEY);
        else if (entry->kind == EV_TAPE_OBJECT)
            must(at->key != EV_TAPE_NO_KEY);
        at = walk(at, end, size);
    }
    return at;
}

static void check_verdict(const uint8_t *data, size_t size, const outcome *o) {
    static ev_json_step steps[EV_JSON_DEPTH_MAX];
    if (o->result.first.rule != EV_RULE_NONE) {
        must(o->result.first.at < o->at && o->result.first.node < schema.node_count);
        const size_t depth = ev_json_path(data, size, 0, o->result.first.at, steps, EV_JSON_DEPTH_MAX);
        must(depth <= DEPTH);
        for (size_t i = 0; i < depth; i++)
            must(steps[i].len == 0 || steps[i].at + steps[i].len <= size);
    }
    uint8_t *text = twin_room(o->at + 1);
    memcpy(text, data, o->at);
    const bool valid = twin_is_valid(&schema, root, text);
    free(text);
    if (o->result.first.rule == EV_RULE_NONE)
        must(valid);
    else if (!o->result.repeated) /* else the caller has to ask again */
        must(!valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (schema.nodes == NULL) root = sample_schema(&schema);
    must(schema.hint_count <= sizeof hints);
    const size_t blank = ev_json_space(data, size, 0);
    data += blank;
    size -= blank;
    if (size == 0) return 0;
    ev_tape *tape = twin_room(ev_tape_room(size, DEPTH, NODES) * sizeof *tape), *end = tape;
    const outcome plain = run(data, size, NULL, NULL), quick = run(data, size, hints, NULL);
    const outcome taped = run(data, size, hints, &end);
    must((size_t)(end - tape) <= ev_tape_room(size, DEPTH, NODES));
    must(plain.at <= size);
    must_equal(&plain, &quick);
    must_equal(&plain, &taped);
    size_t at = 0, nodes = NODES;
    must(ev_json_walk(data, size, DEPTH, &nodes, NULL, EV_TAPE_NO_KEY, &at) == plain.status);
    must(at == plain.at && (plain.status != EV_JSON_OK || nodes == plain.nodes));
    if (plain.status == EV_JSON_OK) {
        must(walk(tape, end, size) == end);
        must(twin_is_json(data, plain.at));
        check_verdict(data, size, &plain);
    } else if (plain.status == EV_JSON_SYNTAX || plain.status == EV_JSON_UTF8 || plain.status == EV_JSON_INFINITE) {
        must(!twin_is_json(data, size));
    }
    free(tape);
    return 0;
}
