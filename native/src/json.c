#include "evcore/json.h"
#include <stdbool.h>
#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t len, at;
} cursor;

static bool ended(const cursor *c) {
    return c->at >= c->len;
}

static bool here(const cursor *c, uint8_t byte) {
    return c->at < c->len && c->data[c->at] == byte;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

size_t ev_json_space(const uint8_t *data, size_t len, size_t at) {
    while (at < len && (data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r'))
        at++;
    return at;
}

static void space(cursor *c) {
    c->at = ev_json_space(c->data, c->len, c->at);
}

/* ---- strings ---- */

/* Nonzero if any of the eight bytes is a control, a quote, a backslash or not ASCII. A byte's borrow can reach its
 * neighbour and mark it too, which only sends clean bytes the slow way; none is ever missed. */
static uint64_t special(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return (word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & high;
}

/* Steps to the first byte of a string that needs a look of its own. */
static void skip_plain(cursor *c) {
    const uint8_t *data = c->data;
    size_t at = c->at;
    for (; c->len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, 8);
        if (special(word)) break;
    }
    while (at < c->len && data[at] >= 0x20 && data[at] < 0x80 && data[at] != '"' && data[at] != '\\')
        at++;
    c->at = at;
}

/* Bytes of the UTF-8 sequence at the cursor, 0 if there is no valid one (Unicode 15, table 3-7: no overlong form, no
 * surrogate, nothing above U+10FFFF). */
static size_t utf8_length(const cursor *c) {
    const uint8_t *p = c->data + c->at;
    const size_t left = c->len - c->at;
    const uint8_t lead = p[0];
    const size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < n) return 0;
    const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t top = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > top) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return n;
}

static int hex_digit(uint8_t byte) {
    if (is_digit(byte)) return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at data[at], or -1. */
static int32_t code_unit(const uint8_t *data, size_t len, size_t at) {
    if (len - at < 6 || data[at] != '\\' || data[at + 1] != 'u') return -1;
    int32_t unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        const int digit = hex_digit(data[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static ev_json_status skip_escape(cursor *c) {
    const uint8_t *data = c->data;
    if (c->len - c->at < 2) {
        c->at = c->len;
        return EV_JSON_SYNTAX;
    }
    if (data[c->at + 1] != 'u') {
        if (data[c->at + 1] == 0 || strchr("\"\\/bfnrt", data[c->at + 1]) == NULL) return EV_JSON_SYNTAX;
        c->at += 2;
        return EV_JSON_OK;
    }
    const int32_t unit = code_unit(data, c->len, c->at);
    if (unit < 0) return EV_JSON_SYNTAX;
    if (unit >= 0xDC00 && unit <= 0xDFFF) return EV_JSON_UTF8;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        const int32_t second = code_unit(data, c->len, c->at + 6);
        if (second < 0xDC00 || second > 0xDFFF) return EV_JSON_UTF8;
        c->at += 6;
    }
    c->at += 6;
    return EV_JSON_OK;
}

static ev_json_status skip_string(cursor *c) {
    c->at++; /* the opening quote */
    for (;;) {
        skip_plain(c);
        if (ended(c)) return EV_JSON_SYNTAX;
        const uint8_t byte = c->data[c->at];
        if (byte == '"') {
            c->at++;
            return EV_JSON_OK;
        }
        if (byte == '\\') {
            const ev_json_status status = skip_escape(c);
            if (status != EV_JSON_OK) return status;
        } else if (byte < 0x20) {
            return EV_JSON_SYNTAX;
        } else {
            const size_t n = utf8_length(c);
            if (n == 0) return EV_JSON_UTF8;
            c->at += n;
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

/* The code point of the escape at token[at]; *used is what it takes. */
static uint32_t unescape(const uint8_t *token, size_t len, size_t at, size_t *used) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    *used = 2;
    const char *name = strchr(names, token[at + 1]);
    if (name != NULL) return (uint32_t)values[name - names];
    const uint32_t first = (uint32_t)code_unit(token, len, at);
    *used = 6;
    if (first < 0xD800 || first > 0xDBFF) return first;
    const uint32_t second = (uint32_t)code_unit(token, len, at + 6);
    *used = 12;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

size_t ev_json_text(const uint8_t *token, size_t len, uint8_t *out, size_t *out_len) {
    size_t points = 0, written = 0;
    for (size_t at = 1; at < len - 1;) {
        uint8_t bytes[4] = {token[at]};
        size_t n = 1;
        if (token[at] == '\\') {
            size_t used;
            n = put_utf8(bytes, unescape(token, len, at, &used));
            at += used;
        } else {
            at++;
        }
        points += (bytes[0] & 0xC0) != 0x80; /* every byte but a continuation begins a code point */
        if (out != NULL) memcpy(out + written, bytes, n);
        written += n;
    }
    if (out_len != NULL) *out_len = written;
    return points;
}

/* ---- numbers ---- */

/* 2^1024 - 2^970, halfway between the largest double and the next power of two: from here on a number rounds to
 * infinity. */
static const char first_infinite[] =
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070"
    "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447"
    "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904"
    "174497792";

enum { INFINITE_DIGITS = 309 };

/* Does the number data[from..to), grammar already checked, exponent `exponent`, round to infinity? Exact: the digits
 * are compared. */
static bool is_infinite(const uint8_t *data, size_t from, size_t to, int64_t exponent) {
    size_t at = from, integer = 0;
    while (at + integer < to && is_digit(data[at + integer]))
        integer++;
    int64_t power = exponent + (int64_t)integer; /* the value is 0.DIGITS * 10^power */
    while (at < to && (data[at] == '0' || data[at] == '.')) {
        power -= data[at] == '0';
        at++;
    }
    if (at == to || !is_digit(data[at])) return false; /* zero, whatever its exponent */
    if (power != INFINITE_DIGITS) return power > INFINITE_DIGITS;
    for (int i = 0; i < INFINITE_DIGITS; i++) {
        if (at < to && data[at] == '.') at++;
        const uint8_t digit = at < to ? data[at++] : '0';
        if (digit != (uint8_t)first_infinite[i]) return digit > (uint8_t)first_infinite[i];
    }
    return true;
}

static bool beyond_int64(const uint8_t *digits, size_t count, bool negative) {
    if (count != 19) return count > 19;
    return memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) > 0;
}

static size_t skip_digits(cursor *c) {
    const size_t from = c->at;
    while (!ended(c) && is_digit(c->data[c->at]))
        c->at++;
    return c->at - from;
}

/* Reads the digits of an exponent. One larger than any length in memory stays there: it decides alone. */
static bool read_exponent(cursor *c, int64_t *exponent) {
    const bool negative = here(c, '-');
    if (negative || here(c, '+')) c->at++;
    const size_t from = c->at;
    if (skip_digits(c) == 0) return false;
    int64_t value = 0;
    for (size_t i = from; i < c->at; i++)
        if (value < INT64_C(1000000000000000)) value = value * 10 + (c->data[i] - '0');
    *exponent = negative ? -value : value;
    return true;
}

static ev_json_status skip_number(cursor *c) {
    const size_t start = c->at;
    const bool negative = here(c, '-');
    c->at += negative;
    const size_t digits = c->at;
    if (here(c, '0'))
        c->at++;
    else if (skip_digits(c) == 0)
        return EV_JSON_SYNTAX;
    const size_t integer = c->at - digits;
    bool real = false;
    int64_t exponent = 0;
    if (here(c, '.')) {
        real = true;
        c->at++;
        if (skip_digits(c) == 0) return EV_JSON_SYNTAX;
    }
    const size_t end = c->at;
    if (here(c, 'e') || here(c, 'E')) {
        real = true;
        c->at++;
        if (!read_exponent(c, &exponent)) return EV_JSON_SYNTAX;
    }
    ev_json_status status = EV_JSON_OK;
    if (!real)
        status = beyond_int64(c->data + digits, integer, negative) ? EV_JSON_INT64 : EV_JSON_OK;
    else if (exponent != 0 || integer >= INFINITE_DIGITS)
        status = is_infinite(c->data, digits, end, exponent) ? EV_JSON_INFINITE : EV_JSON_OK;
    if (status != EV_JSON_OK) c->at = start;
    return status;
}

/* ---- values ---- */

static ev_json_status skip_word(cursor *c, const char *word) {
    for (; *word != 0; word++, c->at++)
        if (!here(c, (uint8_t)*word)) return EV_JSON_SYNTAX;
    return EV_JSON_OK;
}

static ev_json_status skip_scalar(cursor *c) {
    switch (c->data[c->at]) {
    case '"':
        return skip_string(c);
    case 't':
        return skip_word(c, "true");
    case 'f':
        return skip_word(c, "false");
    case 'n':
        return skip_word(c, "null");
    default:
        return skip_number(c);
    }
}

static ev_json_status skip_key(cursor *c) {
    space(c);
    if (!here(c, '"')) return EV_JSON_SYNTAX;
    const ev_json_status status = skip_string(c);
    if (status != EV_JSON_OK) return status;
    space(c);
    if (!here(c, ':')) return EV_JSON_SYNTAX;
    c->at++;
    return EV_JSON_OK;
}

/* Which of the open containers are objects: one bit each. */
typedef struct {
    uint64_t objects[EV_JSON_DEPTH_MAX / 64];
    unsigned open, allowed;
} nesting;

static bool push(nesting *n, bool object) {
    if (n->open >= n->allowed) return false;
    const uint64_t bit = UINT64_C(1) << (n->open % 64);
    uint64_t *word = &n->objects[n->open / 64];
    if (n->open % 64 == 0) *word = 0;
    *word = object ? *word | bit : *word & ~bit;
    n->open++;
    return true;
}

static bool in_object(const nesting *n) {
    return n->objects[(n->open - 1) / 64] >> ((n->open - 1) % 64) & 1;
}

/* After a value: closes what ends here and steps over one comma. OK with nothing open: the whole value is done. */
static ev_json_status next_member(cursor *c, nesting *n) {
    while (n->open > 0) {
        space(c);
        const bool object = in_object(n);
        if (here(c, ',')) {
            c->at++;
            if (object) return skip_key(c);
            return EV_JSON_OK;
        }
        if (!here(c, object ? '}' : ']')) return EV_JSON_SYNTAX;
        c->at++;
        n->open--;
    }
    return EV_JSON_OK;
}

/* Enters the container at the cursor. An empty one is closed again: *empty. */
static ev_json_status enter(cursor *c, nesting *n, bool *empty) {
    const bool object = c->data[c->at] == '{';
    if (!push(n, object)) return EV_JSON_DEPTH;
    c->at++;
    space(c);
    *empty = here(c, object ? '}' : ']');
    if (*empty) return EV_JSON_OK; /* next_member closes it */
    return object ? skip_key(c) : EV_JSON_OK;
}

ev_json_status ev_json_skip(const uint8_t *data, size_t len, unsigned depth, size_t *at) {
    cursor c = {data, len, *at};
    nesting n;
    n.open = 0;
    n.allowed = depth < EV_JSON_DEPTH_MAX ? depth : EV_JSON_DEPTH_MAX;
    ev_json_status status = EV_JSON_OK;
    do {
        if (n.open > 0) space(&c);
        bool inside = false, empty = false;
        if (ended(&c)) {
            status = EV_JSON_SYNTAX;
        } else if (c.data[c.at] == '{' || c.data[c.at] == '[') {
            status = enter(&c, &n, &empty);
            inside = !empty;
        } else {
            status = skip_scalar(&c);
        }
        if (status == EV_JSON_OK && !inside) status = next_member(&c, &n);
    } while (status == EV_JSON_OK && n.open > 0);
    *at = c.at;
    return status;
}
