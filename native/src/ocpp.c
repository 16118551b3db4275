#include "evcore/ocpp.h"
#include "json_scan.h"

enum { ELEMENTS_MAX = 5 }; /* no type has more */

typedef struct {
    ev_span span[ELEMENTS_MAX]; /* the first ones */
    size_t count;               /* of all */
} elements;

static ev_ocpp_status from_json(ev_json_status status) {
    switch (status) {
    case EV_JSON_OK:
        return EV_OCPP_OK;
    case EV_JSON_UTF8:
        return EV_OCPP_UTF8;
    case EV_JSON_INFINITE:
        return EV_OCPP_INFINITE;
    case EV_JSON_INT64:
        return EV_OCPP_INT64;
    case EV_JSON_DEPTH:
        return EV_OCPP_DEPTH;
    case EV_JSON_NODES:
        return EV_OCPP_NODES;
    default:
        return EV_OCPP_JSON;
    }
}

static bool here(const uint8_t *data, size_t len, size_t at, char byte) {
    return at < len && data[at] == (uint8_t)byte;
}

/* The elements of the array that opens at data[*at], to its closing bracket. */
static ev_ocpp_status read_elements(const uint8_t *data, size_t len, unsigned depth, size_t nodes, elements *all,
                                    size_t *at) {
    size_t i = ev_json_space(data, len, *at + 1);
    ev_ocpp_status status = EV_OCPP_OK;
    if (here(data, len, i, ']')) {
        *at = i + 1;
        return status;
    }
    for (;; i++) {
        i = ev_json_space(data, len, i);
        const size_t start = i;
        status = from_json(ev_json_walk(data, len, depth, &nodes, NULL, EV_TAPE_NO_KEY, &i));
        if (status != EV_OCPP_OK) break;
        if (all->count < ELEMENTS_MAX) all->span[all->count] = (ev_span){start, i - start};
        all->count++;
        i = ev_json_space(data, len, i);
        if (here(data, len, i, ',')) continue;
        status = here(data, len, i, ']') ? EV_OCPP_OK : EV_OCPP_JSON;
        i += status == EV_OCPP_OK;
        break;
    }
    *at = i;
    return status;
}

static bool is_string(const uint8_t *data, ev_span span) {
    return data[span.at] == '"';
}

static ev_ocpp_status check_text(const uint8_t *data, ev_span span, size_t max) {
    const size_t points = ev_json_text(data + span.at, span.len, NULL, NULL);
    return points >= 1 && points <= max ? EV_OCPP_OK : EV_OCPP_LENGTH;
}

/* Type and id, as far as they are there: also called for a frame that breaks off further on. */
static ev_ocpp_status read_head(const uint8_t *data, const elements *all, unsigned types, ev_ocpp_frame *frame,
                                size_t *at) {
    ev_ocpp_status type = EV_OCPP_ARITY, id = EV_OCPP_ARITY;
    if (all->count > 0) {
        const ev_span span = all->span[0];
        const unsigned digit = span.len == 1 ? data[span.at] - (unsigned)'0' : 0u;
        if (digit >= EV_OCPP_CALL && digit <= EV_OCPP_SEND && (types >> digit & 1)) frame->type = digit;
        type = frame->type != 0 ? EV_OCPP_OK : EV_OCPP_TYPE;
    }
    if (all->count > 1) {
        id = is_string(data, all->span[1]) ? check_text(data, all->span[1], EV_OCPP_ID_MAX) : EV_OCPP_IDTYPE;
        if (id == EV_OCPP_OK) frame->id = all->span[1];
    }
    if (type != EV_OCPP_ARITY && type != EV_OCPP_OK) {
        *at = all->span[0].at;
        return type;
    }
    if (id != EV_OCPP_ARITY && id != EV_OCPP_OK) *at = all->span[1].at;
    return id;
}

static ev_ocpp_status read_payload(const uint8_t *data, ev_span span, ev_ocpp_frame *frame, size_t *at) {
    *at = span.at;
    if (data[span.at] != '{' && data[span.at] != 'n') return EV_OCPP_PAYLOAD;
    frame->payload = span;
    return EV_OCPP_OK;
}

static ev_ocpp_status read_call(const uint8_t *data, const elements *all, ev_ocpp_frame *frame, size_t *at) {
    *at = all->span[2].at;
    if (!is_string(data, all->span[2])) return EV_OCPP_ACTION;
    const ev_ocpp_status status = check_text(data, all->span[2], EV_OCPP_ACTION_MAX);
    if (status != EV_OCPP_OK) return status;
    frame->action = all->span[2];
    return read_payload(data, all->span[3], frame, at);
}

static ev_ocpp_status read_error(const uint8_t *data, const elements *all, ev_ocpp_frame *frame, size_t *at) {
    for (int i = 2; i <= 4; i++) {
        *at = all->span[i].at;
        if (data[*at] != (i < 4 ? '"' : '{')) return EV_OCPP_ERROR;
    }
    frame->code = all->span[2];
    frame->description = all->span[3];
    frame->payload = all->span[4];
    return EV_OCPP_OK;
}

static size_t arity(unsigned type) {
    return type == EV_OCPP_CALLRESULT ? 3 : type == EV_OCPP_CALL || type == EV_OCPP_SEND ? 4 : 5;
}

/* The whole text as one JSON document; the elements of its array, if it is one. */
static ev_ocpp_status read_document(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, elements *all,
                                    size_t *at) {
    const unsigned depth = rules->max_depth < EV_JSON_DEPTH_MAX ? rules->max_depth : EV_JSON_DEPTH_MAX;
    size_t nodes = rules->max_nodes;
    size_t i = ev_json_space(data, len, 0);
    const bool array = here(data, len, i, '[');
    *at = i;
    ev_ocpp_status status = EV_OCPP_DEPTH;
    if (!array)
        status = from_json(ev_json_walk(data, len, depth, &nodes, NULL, EV_TAPE_NO_KEY, at));
    else if (nodes == 0)
        status = EV_OCPP_NODES;
    else if (depth > 0)
        status = read_elements(data, len, depth - 1, nodes - 1, all, at);
    if (status != EV_OCPP_OK) return status;
    *at = ev_json_space(data, len, *at);
    if (*at != len) return EV_OCPP_JSON;
    *at = i;
    return array ? EV_OCPP_OK : EV_OCPP_ARRAY;
}

ev_ocpp_status ev_ocpp_scan(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                            size_t *at) {
    memset(frame, 0, sizeof *frame);
    *at = 0;
    if (len > rules->max_size) return EV_OCPP_SIZE;
    elements all = {.count = 0};
    const ev_ocpp_status document = read_document(data, len, rules, &all, at);
    size_t head_at = *at;
    const ev_ocpp_status head = read_head(data, &all, rules->types, frame, &head_at);
    if (document != EV_OCPP_OK) return document;
    *at = head_at;
    if (head != EV_OCPP_OK) return head;
    if (all.count != arity(frame->type)) return EV_OCPP_ARITY;
    if (frame->type == EV_OCPP_CALLRESULT) return read_payload(data, all.span[2], frame, at);
    if (frame->type == EV_OCPP_CALL || frame->type == EV_OCPP_SEND) return read_call(data, &all, frame, at);
    return read_error(data, &all, frame, at);
}

/* The string at *at, plain and of 1 to `max` characters, and the comma after it. */
static bool take_text(const uint8_t **at, const uint8_t *end, const uint8_t *data, size_t max, ev_span *span) {
    const uint8_t *token = *at, *quote = token + 1;
    if (token == end || *token != '"') return false;
    quote = ev_scan_plain(quote, end);
    const size_t size = (size_t)(quote - token) - 1;
    if (quote == end || *quote != '"' || size < 1 || size > max) return false;
    *span = (ev_span){(size_t)(token - data), size + 2};
    const uint8_t *comma = ev_scan_space(quote + 1, end);
    if (comma == end || *comma != ',') return false;
    *at = ev_scan_space(comma + 1, end);
    return true;
}

ev_ocpp_status ev_ocpp_open(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                            size_t *nodes, size_t *at) {
    memset(frame, 0, sizeof *frame);
    *at = 0;
    *nodes = 0;
    if (len > rules->max_size) return EV_OCPP_SIZE;
    if (len == 0 || rules->max_depth < 1) return EV_OCPP_JSON;
    const uint8_t *end = data + len, *p = ev_scan_space(data, end);
    if (p == end || *p != '[') return EV_OCPP_JSON;
    p = ev_scan_space(p + 1, end);
    const unsigned type = p < end ? *p - (unsigned)'0' : 0;
    const bool named = type == EV_OCPP_CALL || type == EV_OCPP_SEND;
    if (!(named || type == EV_OCPP_CALLRESULT) || !(rules->types >> type & 1)) return EV_OCPP_JSON;
    p = ev_scan_space(p + 1, end);
    if (p == end || *p != ',') return EV_OCPP_JSON;
    p = ev_scan_space(p + 1, end);
    if (!take_text(&p, end, data, EV_OCPP_ID_MAX, &frame->id)) return EV_OCPP_JSON;
    if (named && !take_text(&p, end, data, EV_OCPP_ACTION_MAX, &frame->action)) return EV_OCPP_JSON;
    const size_t used = named ? 4 : 3; /* the array, type, id, action */
    if (p == end || (*p != '{' && *p != 'n') || rules->max_nodes <= used) return EV_OCPP_JSON;
    frame->type = type;
    *nodes = rules->max_nodes - used;
    *at = (size_t)(p - data);
    return EV_OCPP_OK;
}

bool ev_ocpp_closed(const uint8_t *data, size_t len, size_t at) {
    const uint8_t *end = data + len, *p = ev_scan_space(data + at, end);
    return p < end && *p == ']' && ev_scan_space(p + 1, end) == end;
}

const char *ev_ocpp_reason(ev_ocpp_status status) {
    static const char *const reasons[] = {"ok",    "json", "utf8",   "infinite", "limit", "limit",  "limit",   "int64",
                                          "array", "type", "idtype", "length",   "arity", "action", "payload", "error"};
    return (size_t)status < sizeof reasons / sizeof *reasons ? reasons[status] : "unknown";
}
