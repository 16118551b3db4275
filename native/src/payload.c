#include "evcore/payload.h"
#include "schema_scan.h"

enum { DECODED_MAX = 4096 }; /* bytes of an escaped string that are decoded to be judged */

typedef struct {
    const uint8_t *data, *at, *end;
    const ev_schema *schema;
    const ev_payload_rules *rules;
    ev_tape *tape; /* the next entry, NULL: none */
    size_t nodes;
    unsigned depth; /* containers that may still be opened */
    ev_json_status status;
    ev_payload_result *result;
} reader;

static bool read_value(reader *r, uint32_t index, uint32_t key);

static bool stop(reader *r, ev_json_status status, const uint8_t *at) {
    r->status = status;
    r->at = at;
    return false;
}

static void blame(reader *r, ev_rule rule, uint32_t node, const uint8_t *at) {
    ev_violation *first = &r->result->first;
    if (first->rule == EV_RULE_NONE) *first = (ev_violation){.rule = rule, .node = node, .at = (size_t)(at - r->data)};
}

static void put(reader *r, ev_tape_kind kind, unsigned flags, uint32_t key, const uint8_t *at, size_t size) {
    if (r->tape != NULL)
        *r->tape++ = (ev_tape){.kind = (uint8_t)kind,
                               .flags = (uint8_t)flags,
                               .key = key,
                               .at = (uint32_t)(at - r->data),
                               .size = (uint32_t)size};
}

/* A value that the schema does not describe, with all that it holds. */
static bool read_any(reader *r, uint32_t key) {
    size_t at = (size_t)(r->at - r->data);
    r->status = ev_json_walk(r->data, (size_t)(r->end - r->data), r->depth, &r->nodes,
                             r->tape == NULL ? NULL : &r->tape, key, &at);
    r->at = r->data + at;
    return r->status == EV_JSON_OK;
}

/* ---- strings ---- */

/* What is rare stays out of the way, and its buffers out of the frames of the recursion. */
#if defined(__GNUC__)
#define EV_RARE __attribute__((noinline, cold))
#else
#define EV_RARE
#endif

/* Decodes an escaped string: its length, SIZE_MAX where it is longer than DECODED_MAX. text: between the quotes. */
static size_t decode(const uint8_t *text, size_t size, uint8_t *out) {
    size_t len = SIZE_MAX;
    if (size <= DECODED_MAX) ev_json_text(text - 1, size + 2, out, &len);
    return len;
}

static EV_RARE int find_escaped(const reader *r, const ev_schema_node *node, const uint8_t *text, size_t size) {
    uint8_t decoded[DECODED_MAX];
    const size_t len = decode(text, size, decoded);
    return len > EV_NAME_MAX ? -1 : ev_find(r->schema, node, decoded, len);
}

static inline int find_word(const reader *r, const ev_schema_node *node, const uint8_t *text, size_t size,
                            unsigned flags) {
    if (flags & EV_TAPE_ESCAPED) return find_escaped(r, node, text, size);
    return ev_find(r->schema, node, text, size);
}

static EV_RARE bool has_format(const ev_schema_node *node, const uint8_t *text, size_t size, unsigned flags) {
    uint8_t decoded[DECODED_MAX];
    if (flags & EV_TAPE_ESCAPED) {
        size = decode(text, size, decoded);
        if (size == SIZE_MAX) return false;
        text = decoded;
    }
    if (node->flags & EV_NODE_DATE_TIME && !ev_format_date_time(text, size)) return false;
    return !(node->flags & EV_NODE_URI) || ev_format_uri(text, size);
}

/* What a string may be beyond its being one. Returns its word, or -1. */
static int judge_string(reader *r, uint32_t index, const uint8_t *text, size_t size, unsigned flags) {
    const ev_schema_node *node = &r->schema->nodes[index];
    int word = -1;
    if (!(node->types & EV_TYPE_STRING)) {
        blame(r, EV_RULE_TYPE, index, text - 1);
        return -1;
    }
    if (node->flags & EV_NODE_WORDS) {
        word = find_word(r, node, text, size, flags);
        if (word < 0) blame(r, EV_RULE_ENUM, index, text - 1);
    }
    if (size > node->high || node->low > 0) {
        const size_t points = flags == 0 ? size : ev_json_text(text - 1, size + 2, NULL, NULL);
        if (points > node->high) blame(r, EV_RULE_MAX_LENGTH, index, text - 1);
        if (points < node->low) blame(r, EV_RULE_MIN_LENGTH, index, text - 1);
    }
    if (r->rules->formats && node->flags & (EV_NODE_DATE_TIME | EV_NODE_URI) && !has_format(node, text, size, flags))
        blame(r, EV_RULE_FORMAT, index, text - 1);
    return word;
}

static bool read_string(reader *r, uint32_t index, uint32_t key) {
    const uint8_t *text = r->at + 1, *quote = text;
    unsigned flags;
    const ev_json_status status = ev_scan_string(&quote, r->end, &flags);
    if (status != EV_JSON_OK) return stop(r, status, quote);
    const size_t size = (size_t)(quote - text);
    const int word = judge_string(r, index, text, size, flags);
    const ev_schema_node *node = &r->schema->nodes[index];
    if (word >= 0)
        put(r, EV_TAPE_WORD, 0, key, text, r->schema->members[node->first + (uint32_t)word].name);
    else
        put(r, EV_TAPE_STRING, flags, key, text, size);
    r->at = quote + 1;
    return true;
}

/* ---- numbers and words ---- */

/* Is a number with a '.' or an exponent, seen as a double, a whole one? */
static bool is_integral(double value) {
    const double limit = 4503599627370496.0; /* 2^52: from here on all are */
    return value >= limit || value <= -limit || (double)(int64_t)value == value;
}

static double value_of(const reader *r, const uint8_t *text, size_t size, const ev_number *number) {
    double value;
    return ev_number_double(number, &value) ? value : r->rules->real(text, size);
}

static void judge_number(reader *r, uint32_t index, const uint8_t *text, size_t size, const ev_number *number) {
    const ev_schema_node *node = &r->schema->nodes[index];
    const bool integer = !number->real || (node->flags & EV_NODE_INTEGRAL && !(node->types & EV_TYPE_NUMBER) &&
                                           is_integral(value_of(r, text, size, number)));
    if (!(node->types & EV_TYPE_NUMBER) && !(integer && node->types & EV_TYPE_INTEGER)) {
        blame(r, EV_RULE_TYPE, index, text);
        return;
    }
    if (node->flags & EV_NODE_BOUNDED) {
        const double value = number->real ? value_of(r, text, size, number) : (double)ev_json_integer(text, size);
        if (value < node->minimum) blame(r, EV_RULE_MINIMUM, index, text);
        if (value > node->maximum) blame(r, EV_RULE_MAXIMUM, index, text);
    }
    if (node->flags & EV_NODE_TENTH && number->real && !ev_json_multiple(text, size, 1))
        blame(r, EV_RULE_MULTIPLE_OF, index, text);
}

static bool read_number(reader *r, uint32_t index, uint32_t key) {
    const uint8_t *text = r->at;
    ev_number number;
    const ev_json_status status = ev_scan_number(&r->at, r->end, &number);
    if (status != EV_JSON_OK) return stop(r, status, r->at);
    const size_t size = (size_t)(r->at - text);
    judge_number(r, index, text, size, &number);
    put(r, number.real ? EV_TAPE_REAL : EV_TAPE_INTEGER, 0, key, text, size);
    return true;
}

static bool read_word(reader *r, uint32_t index, uint32_t key, ev_tape_kind kind, const char *word, size_t len) {
    const unsigned type = kind == EV_TAPE_NULL ? EV_TYPE_NULL : EV_TYPE_BOOLEAN;
    if (!(r->schema->nodes[index].types & type)) blame(r, EV_RULE_TYPE, index, r->at);
    put(r, kind, 0, key, r->at, len);
    r->status = ev_scan_word(&r->at, r->end, word, len);
    return r->status == EV_JSON_OK;
}

/* ---- containers ---- */

static const uint8_t *space(reader *r, const uint8_t *p) {
    return p < r->end && *p > 0x20 ? p : ev_scan_space(p, r->end);
}

static ev_tape *open_container(reader *r, ev_tape_kind kind, uint32_t key) {
    ev_tape *entry = r->tape;
    put(r, kind, 0, key, r->at, 0);
    r->depth--;
    return entry;
}

static void close_container(reader *r, ev_tape *entry, const uint8_t *end, size_t count) {
    if (entry != NULL) entry->size = (uint32_t)count;
    r->depth++;
    r->at = end;
}

/* Reads a name by its bytes and the colon. Its place among the node's members, -1: none of them (entry KEY), -2: no
 * name and colon here. */
static int read_name(reader *r, uint32_t index, const ev_schema_node *node) {
    const uint8_t *name = r->at, *text = name + 1, *quote = text;
    unsigned flags;
    if (name == r->end || *name != '"') return stop(r, EV_JSON_SYNTAX, name), -2;
    const ev_json_status status = ev_scan_string(&quote, r->end, &flags);
    if (status != EV_JSON_OK) return stop(r, status, quote), -2;
    const uint8_t *colon = space(r, quote + 1);
    if (colon == r->end || *colon != ':') return stop(r, EV_JSON_SYNTAX, colon), -2;
    const size_t size = (size_t)(quote - text);
    const int place = find_word(r, node, text, size, flags);
    if (place < 0) {
        if (node->flags & EV_NODE_CLOSED) blame(r, EV_RULE_ADDITIONAL, index, name);
        put(r, EV_TAPE_KEY, flags, EV_TAPE_NO_KEY, text, size);
    }
    r->at = colon + 1;
    return place;
}

/* Reads one member, from its name on. hint: where the place of the member expected stands, moved to that of the next;
 * most objects look like the one before, so that one comparison finds the name with its quotes and colon. */
static bool read_member(reader *r, uint32_t index, uint8_t **hint, uint64_t *seen) {
    const ev_schema_node *node = &r->schema->nodes[index];
    const ev_schema_member *members = r->schema->members + node->first;
    uint8_t *const hints = r->rules->hints == NULL ? NULL : r->rules->hints + node->hints;
    int place = -1;
    if (hints != NULL && **hint < node->count) {
        const ev_schema_member *expected = members + **hint;
        const size_t size = expected->len + 3;
        if ((size_t)(r->end - r->at) >= size && ev_same(r->at, r->schema->text + expected->text - 1, size)) {
            place = **hint;
            r->at += size;
        }
    }
    if (place < 0) place = read_name(r, index, node);
    if (place == -2) return false;
    r->at = space(r, r->at);
    if (place < 0) return read_any(r, EV_TAPE_NO_KEY);
    if (hints != NULL) {
        **hint = (uint8_t)place;
        *hint = hints + place + 1;
    }
    const uint64_t bit = UINT64_C(1) << place;
    r->result->repeated |= (*seen & bit) != 0;
    *seen |= bit;
    return read_value(r, members[place].node, members[place].name);
}

static void judge_members(reader *r, uint32_t index, uint64_t seen, const uint8_t *start) {
    const ev_schema_node *node = &r->schema->nodes[index];
    const uint64_t missing = node->required & ~seen;
    if (missing == 0 || r->result->first.rule != EV_RULE_NONE) return;
    blame(r, EV_RULE_REQUIRED, index, start);
    r->result->first.member = node->first;
    while (!(missing >> (r->result->first.member - node->first) & 1))
        r->result->first.member++;
}

static bool read_object(reader *r, uint32_t index, uint32_t key) {
    const uint8_t *start = r->at;
    if (!(r->schema->nodes[index].types & EV_TYPE_OBJECT)) {
        blame(r, EV_RULE_TYPE, index, start);
        r->nodes++; /* read_any counts it itself */
        return read_any(r, key);
    }
    if (r->depth == 0) return stop(r, EV_JSON_DEPTH, start);
    ev_tape *entry = open_container(r, EV_TAPE_OBJECT, key);
    uint8_t *hint = r->rules->hints == NULL ? NULL : r->rules->hints + r->schema->nodes[index].hints;
    uint64_t seen = 0;
    size_t count = 0;
    const uint8_t *p = space(r, start + 1);
    if (p == r->end || *p != '}') {
        for (;; p = space(r, p + 1)) {
            r->at = p;
            if (!read_member(r, index, &hint, &seen)) return false;
            count++;
            p = space(r, r->at);
            if (p < r->end && *p == ',') continue;
            if (p < r->end && *p == '}') break;
            return stop(r, EV_JSON_SYNTAX, p);
        }
    }
    judge_members(r, index, seen, start);
    close_container(r, entry, p + 1, count);
    return true;
}

static bool read_array(reader *r, uint32_t index, uint32_t key) {
    const ev_schema_node *node = &r->schema->nodes[index];
    const uint8_t *start = r->at;
    if (!(node->types & EV_TYPE_ARRAY)) {
        blame(r, EV_RULE_TYPE, index, start);
        r->nodes++;
        return read_any(r, key);
    }
    if (r->depth == 0) return stop(r, EV_JSON_DEPTH, start);
    ev_tape *entry = open_container(r, EV_TAPE_ARRAY, key);
    size_t count = 0;
    const uint8_t *p = space(r, start + 1);
    if (p == r->end || *p != ']') {
        for (;; p = space(r, p + 1)) {
            r->at = p;
            if (!read_value(r, node->items, EV_TAPE_NO_KEY)) return false;
            count++;
            p = space(r, r->at);
            if (p < r->end && *p == ',') continue;
            if (p < r->end && *p == ']') break;
            return stop(r, EV_JSON_SYNTAX, p);
        }
    }
    if (count < node->low || count > node->high) {
        const bool first = r->result->first.rule == EV_RULE_NONE;
        blame(r, count < node->low ? EV_RULE_MIN_ITEMS : EV_RULE_MAX_ITEMS, index, start);
        if (first) r->result->first.count = count;
    }
    close_container(r, entry, p + 1, count);
    return true;
}

/* ---- values ---- */

static bool read_value(reader *r, uint32_t index, uint32_t key) {
    if (r->at == r->end) return stop(r, EV_JSON_SYNTAX, r->at);
    if (index == EV_SCHEMA_ANY) return read_any(r, key);
    if (r->nodes == 0) return stop(r, EV_JSON_NODES, r->at);
    r->nodes--;
    switch (*r->at) {
    case '"':
        return read_string(r, index, key);
    case '{':
        return read_object(r, index, key);
    case '[':
        return read_array(r, index, key);
    case 't':
        return read_word(r, index, key, EV_TAPE_TRUE, "true", 4);
    case 'f':
        return read_word(r, index, key, EV_TAPE_FALSE, "false", 5);
    case 'n':
        return read_word(r, index, key, EV_TAPE_NULL, "null", 4);
    default:
        return read_number(r, index, key);
    }
}

/* null: an empty object. */
static bool read_nothing(reader *r, uint32_t root) {
    const uint8_t *start = r->at;
    if (r->nodes == 0) return stop(r, EV_JSON_NODES, start);
    r->nodes--;
    r->status = ev_scan_word(&r->at, r->end, "null", 4);
    if (r->status != EV_JSON_OK) return false;
    put(r, EV_TAPE_OBJECT, 0, EV_TAPE_NO_KEY, start, 0);
    judge_members(r, root, 0, start);
    return true;
}

ev_json_status ev_payload_read(const uint8_t *data, size_t len, uint32_t root, const ev_payload_rules *rules,
                               size_t *nodes, ev_tape **tape, size_t *at, ev_payload_result *result) {
    *result = (ev_payload_result){.repeated = false};
    if (len == 0) return EV_JSON_SYNTAX;
    reader r = {.data = data,
                .at = data + *at,
                .end = data + len,
                .schema = rules->schema,
                .rules = rules,
                .tape = tape == NULL ? NULL : *tape,
                .nodes = *nodes,
                .depth = rules->depth < EV_JSON_DEPTH_MAX ? rules->depth : EV_JSON_DEPTH_MAX,
                .status = EV_JSON_OK,
                .result = result};
    if (r.at < r.end && *r.at == 'n')
        read_nothing(&r, root);
    else
        read_value(&r, root, EV_TAPE_NO_KEY);
    *at = (size_t)(r.at - data);
    *nodes = r.nodes;
    if (tape != NULL) *tape = r.tape;
    return r.status;
}
