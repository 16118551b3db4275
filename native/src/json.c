#include "json_scan.h"

size_t ev_json_space(const uint8_t *data, size_t len, size_t at) {
    while (at < len && (data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r'))
        at++;
    return at;
}

/* ---- strings ---- */

/* Bytes of the UTF-8 sequence at p, 0 if there is no valid one (Unicode 15, table 3-7: no overlong form, no surrogate,
 * nothing above U+10FFFF). */
static size_t utf8_length(const uint8_t *p, const uint8_t *end) {
    const uint8_t lead = p[0];
    const size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - p) < n) return 0;
    const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t top = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > top) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return n;
}

static int hex_digit(uint8_t byte) {
    if (ev_is_digit(byte)) return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at p, or -1. */
static int32_t code_unit(const uint8_t *p, const uint8_t *end) {
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    int32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        const int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static ev_json_status skip_escape(const uint8_t **at, const uint8_t *end) {
    const uint8_t *p = *at;
    if (end - p < 2) {
        *at = end;
        return EV_JSON_SYNTAX;
    }
    if (p[1] != 'u') {
        if (p[1] == 0 || strchr("\"\\/bfnrt", p[1]) == NULL) return EV_JSON_SYNTAX;
        *at = p + 2;
        return EV_JSON_OK;
    }
    const int32_t unit = code_unit(p, end);
    if (unit < 0) return EV_JSON_SYNTAX;
    if (unit >= 0xDC00 && unit <= 0xDFFF) return EV_JSON_UTF8;
    *at = p + 6;
    if (unit < 0xD800 || unit > 0xDBFF) return EV_JSON_OK;
    const int32_t second = code_unit(p + 6, end);
    *at = p;
    if (second < 0xDC00 || second > 0xDFFF) return EV_JSON_UTF8;
    *at = p + 12;
    return EV_JSON_OK;
}

ev_json_status ev_scan_odd(const uint8_t **at, const uint8_t *end, unsigned *flags) {
    for (;; *at = ev_scan_plain(*at, end)) {
        if (*at == end) return EV_JSON_SYNTAX;
        const uint8_t byte = **at;
        if (byte == '"') return EV_JSON_OK;
        if (byte == '\\') {
            *flags |= EV_TAPE_ESCAPED;
            const ev_json_status status = skip_escape(at, end);
            if (status != EV_JSON_OK) return status;
        } else if (byte < 0x20) {
            return EV_JSON_SYNTAX;
        } else {
            *flags |= EV_TAPE_WIDE;
            const size_t n = utf8_length(*at, end);
            if (n == 0) return EV_JSON_UTF8;
            *at += n;
        }
    }
}

static size_t put_utf8(uint8_t *out, uint32_t point) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    const size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (uint8_t)(lead[n] | point);
    return n;
}

/* The code point of the escape at p; *used is what it takes. */
static uint32_t unescape(const uint8_t *p, const uint8_t *end, size_t *used) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    *used = 2;
    const char *name = strchr(names, p[1]);
    if (name != NULL) return (uint32_t)values[name - names];
    const uint32_t first = (uint32_t)code_unit(p, end);
    *used = 6;
    if (first < 0xD800 || first > 0xDBFF) return first;
    const uint32_t second = (uint32_t)code_unit(p + 6, end);
    *used = 12;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len) {
    const uint8_t *end = token + len - 1;
    size_t points = 0, written = 0;
    for (const uint8_t *p = token + 1; p < end;) {
        uint8_t bytes[4] = {*p};
        size_t n = 1;
        if (*p == '\\') {
            size_t used;
            n = put_utf8(bytes, unescape(p, end, &used));
            p += used;
        } else {
            p++;
        }
        points += (bytes[0] & 0xC0) != 0x80; /* every byte but a continuation begins a code point */
        if (out != NULL) memcpy(out + written, bytes, n);
        written += n;
    }
    if (out_len != NULL) *out_len = written;
    return points;
}

/* ---- values ---- */

typedef struct {
    const uint8_t *data, *at, *end;
    ev_tape *tape;      /* the next entry, NULL: none */
    ev_tape *container; /* the entry of the innermost open container; while open, its `at` is the way to the outer */
    uint64_t objects[EV_JSON_DEPTH_MAX / 64]; /* which of the open containers are objects: one bit each */
    unsigned open, allowed;
    uint32_t key; /* of the next entry */
} walker;

static bool here(const walker *w, uint8_t byte) {
    return w->at < w->end && *w->at == byte;
}

static void space(walker *w) {
    w->at = ev_scan_space(w->at, w->end);
}

static void put(walker *w, ev_tape_kind kind, unsigned flags, const uint8_t *at, size_t size) {
    if (w->tape == NULL) return;
    if (w->container != NULL && kind != EV_TAPE_KEY) w->container->size++;
    *w->tape++ = (ev_tape){.kind = (uint8_t)kind,
                           .flags = (uint8_t)flags,
                           .key = w->key,
                           .at = (uint32_t)(at - w->data),
                           .size = (uint32_t)size};
    w->key = EV_TAPE_NO_KEY;
}

static ev_json_status walk_string(walker *w, ev_tape_kind kind) {
    const uint8_t *start = ++w->at;
    unsigned flags;
    const ev_json_status status = ev_scan_string(&w->at, w->end, &flags);
    if (status != EV_JSON_OK) return status;
    put(w, kind, flags, start, (size_t)(w->at - start));
    w->at++;
    return EV_JSON_OK;
}

static ev_json_status walk_number(walker *w) {
    const uint8_t *start = w->at;
    ev_number number;
    const ev_json_status status = ev_scan_number(&w->at, w->end, &number);
    if (status == EV_JSON_OK) put(w, number.real ? EV_TAPE_REAL : EV_TAPE_INTEGER, 0, start, (size_t)(w->at - start));
    return status;
}

static ev_json_status walk_word(walker *w, ev_tape_kind kind, const char *word, size_t len) {
    put(w, kind, 0, w->at, len);
    return ev_scan_word(&w->at, w->end, word, len);
}

static ev_json_status walk_scalar(walker *w) {
    switch (*w->at) {
    case '"':
        return walk_string(w, EV_TAPE_STRING);
    case 't':
        return walk_word(w, EV_TAPE_TRUE, "true", 4);
    case 'f':
        return walk_word(w, EV_TAPE_FALSE, "false", 5);
    case 'n':
        return walk_word(w, EV_TAPE_NULL, "null", 4);
    default:
        return walk_number(w);
    }
}

static ev_json_status walk_key(walker *w) {
    space(w);
    if (!here(w, '"')) return EV_JSON_SYNTAX;
    const ev_json_status status = walk_string(w, EV_TAPE_KEY);
    if (status != EV_JSON_OK) return status;
    space(w);
    if (!here(w, ':')) return EV_JSON_SYNTAX;
    w->at++;
    return EV_JSON_OK;
}

static bool push(walker *w, bool object) {
    if (w->open >= w->allowed) return false;
    const uint64_t bit = UINT64_C(1) << (w->open % 64);
    uint64_t *word = &w->objects[w->open / 64];
    if (w->open % 64 == 0) *word = 0;
    *word = object ? *word | bit : *word & ~bit;
    w->open++;
    if (w->tape == NULL) return true;
    ev_tape *entry = w->tape, *outer = w->container;
    put(w, object ? EV_TAPE_OBJECT : EV_TAPE_ARRAY, 0, w->data, 0);
    w->container = entry;
    entry->at = outer == NULL ? 0 : (uint32_t)(entry - outer);
    return true;
}

static void pop(walker *w) {
    w->open--;
    if (w->tape == NULL) return;
    const uint32_t outer = w->container->at;
    w->container->at = (uint32_t)(w->at - w->data); /* where it ends: its beginning is of no use to anyone */
    w->container = outer == 0 ? NULL : w->container - outer;
}

static bool in_object(const walker *w) {
    return w->objects[(w->open - 1) / 64] >> ((w->open - 1) % 64) & 1;
}

/* After a value: closes what ends here and steps over one comma. OK with nothing open: the whole value is done. */
static ev_json_status next_member(walker *w) {
    while (w->open > 0) {
        space(w);
        const bool object = in_object(w);
        if (here(w, ',')) {
            w->at++;
            if (object) return walk_key(w);
            return EV_JSON_OK;
        }
        if (!here(w, object ? '}' : ']')) return EV_JSON_SYNTAX;
        w->at++;
        pop(w);
    }
    return EV_JSON_OK;
}

/* Enters the container at the cursor. An empty one is closed again: *empty. */
static ev_json_status enter(walker *w, bool *empty) {
    const bool object = *w->at == '{';
    if (!push(w, object)) return EV_JSON_DEPTH;
    w->at++;
    space(w);
    *empty = here(w, object ? '}' : ']');
    if (*empty) return EV_JSON_OK; /* next_member closes it */
    return object ? walk_key(w) : EV_JSON_OK;
}

ev_json_status ev_json_walk(const uint8_t *data, size_t len, unsigned depth, size_t *nodes, ev_tape **tape,
                            uint32_t key, size_t *at) {
    if (len == 0) return EV_JSON_SYNTAX; /* data may be NULL */
    walker w = {.data = data, .at = data + *at, .end = data + len, .tape = tape == NULL ? NULL : *tape, .key = key};
    w.allowed = depth < EV_JSON_DEPTH_MAX ? depth : EV_JSON_DEPTH_MAX;
    size_t left = *nodes;
    ev_json_status status = EV_JSON_OK;
    do {
        if (w.open > 0) space(&w);
        bool inside = false, empty = false;
        if (w.at == w.end) {
            status = EV_JSON_SYNTAX;
        } else if (left == 0) {
            status = EV_JSON_NODES;
        } else if (*w.at == '{' || *w.at == '[') {
            status = enter(&w, &empty);
            inside = !empty;
        } else {
            status = walk_scalar(&w);
        }
        left -= left > 0;
        if (status == EV_JSON_OK && !inside) status = next_member(&w);
    } while (status == EV_JSON_OK && w.open > 0);
    *at = (size_t)(w.at - data);
    *nodes = left;
    if (tape != NULL) *tape = w.tape;
    return status;
}

ev_json_status ev_json_skip(const uint8_t *data, size_t len, unsigned depth, size_t *at) {
    size_t nodes = SIZE_MAX;
    return ev_json_walk(data, len, depth, &nodes, NULL, EV_TAPE_NO_KEY, at);
}

/* ---- places ---- */

size_t ev_json_path(const uint8_t *data, size_t len, size_t from, size_t target, ev_json_step *steps, size_t room) {
    size_t depth = 0;
    bool object[EV_JSON_DEPTH_MAX];
    for (size_t at = from; at < target && at < len;) {
        const uint8_t byte = data[at];
        if (byte == '"') {
            const uint8_t *p = data + at + 1;
            unsigned flags;
            if (ev_scan_string(&p, data + len, &flags) != EV_JSON_OK) break;
            const size_t end = (size_t)(p - data) + 1, colon = ev_json_space(data, len, end);
            if (depth > 0 && colon < len && data[colon] == ':') steps[depth - 1] = (ev_json_step){at, end - at};
            at = end;
            continue;
        }
        at++;
        if (byte == '{' || byte == '[') {
            if (depth == room || depth == EV_JSON_DEPTH_MAX) break;
            object[depth] = byte == '{';
            steps[depth++] = (ev_json_step){0, 0};
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth--;
        } else if (byte == ',' && depth > 0 && !object[depth - 1]) {
            steps[depth - 1].at++;
        }
    }
    return depth;
}
