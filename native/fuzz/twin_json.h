/* Is it JSON? A twin of json.c written the other way round: the grammar of RFC 8259 by recursion, code points decoded
 * before they are judged, numbers judged by strtod. Slow; only to be held against. */
#ifndef EVCORE_TWIN_JSON_H
#define EVCORE_TWIN_JSON_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *at, *end;
    unsigned depth;
} twin;

static bool twin_value(twin *t);

static int twin_peek(const twin *t) {
    return t->at < t->end ? *t->at : -1;
}

static bool twin_take(twin *t, int byte) {
    if (twin_peek(t) != byte) return false;
    t->at++;
    return true;
}

static void twin_space(twin *t) {
    while (twin_take(t, 0x20) || twin_take(t, 0x09) || twin_take(t, 0x0A) || twin_take(t, 0x0D)) {
    }
}

static bool twin_hex(twin *t, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        const int c = twin_peek(t);
        if (c < 0) return false;
        const char *digits = "0123456789abcdef0123456789ABCDEF", *found = c ? strchr(digits, c) : NULL;
        if (found == NULL) return false;
        *unit = *unit << 4 | ((uint32_t)(found - digits) & 15);
        t->at++;
    }
    return true;
}

static bool twin_escape(twin *t) {
    const int c = twin_peek(t);
    if (c < 1 || strchr("\"\\/bfnrtu", c) == NULL) return false;
    t->at++;
    uint32_t first, second;
    if (c != 'u') return true;
    if (!twin_hex(t, &first)) return false;
    if (first >> 11 != 0x1B) return true; /* no surrogate */
    return first < 0xDC00 && twin_take(t, '\\') && twin_take(t, 'u') && twin_hex(t, &second) && second >> 10 == 0x37;
}

/* One code point above U+007F: decoded, then judged by its value. */
static bool twin_wide(twin *t) {
    const uint32_t lead = *t->at++;
    const int more = lead >= 0xF8 ? -1 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : -1;
    if (more < 0 || t->end - t->at < more) return false;
    uint32_t point = lead & (0x3Fu >> more);
    for (int i = 0; i < more; i++) {
        if (*t->at >> 6 != 2) return false;
        point = point << 6 | (*t->at++ & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    return point >= least[more] && point <= 0x10FFFF && point >> 11 != 0x1B;
}

static bool twin_string(twin *t) {
    if (!twin_take(t, '"')) return false;
    for (;;) {
        if (twin_take(t, '"')) return true;
        if (twin_take(t, '\\')) {
            if (!twin_escape(t)) return false;
            continue;
        }
        const int c = twin_peek(t);
        if (c < 0x20) return false;
        if (c < 0x80)
            t->at++;
        else if (!twin_wide(t))
            return false;
    }
}

static bool twin_digits(twin *t) {
    const uint8_t *from = t->at;
    while (twin_peek(t) >= '0' && twin_peek(t) <= '9')
        t->at++;
    return t->at > from;
}

static bool twin_number(twin *t) {
    const uint8_t *from = t->at;
    bool real = false;
    twin_take(t, '-');
    if (!twin_take(t, '0') && !twin_digits(t)) return false;
    if (twin_take(t, '.')) {
        real = true;
        if (!twin_digits(t)) return false;
    }
    if (twin_take(t, 'e') || twin_take(t, 'E')) {
        real = true;
        if (!twin_take(t, '+')) twin_take(t, '-');
        if (!twin_digits(t)) return false;
    }
    const size_t len = (size_t)(t->at - from);
    char *text = malloc(len + 1);
    if (text == NULL) abort();
    memcpy(text, from, len);
    text[len] = 0;
    const bool finite = !isinf(strtod(text, NULL));
    free(text);
    return finite || !real;
}

static bool twin_members(twin *t, bool object) {
    const int close = object ? '}' : ']';
    twin_space(t);
    if (twin_take(t, close)) return true;
    for (;;) {
        twin_space(t);
        if (object) {
            if (!twin_string(t)) return false;
            twin_space(t);
            if (!twin_take(t, ':')) return false;
        }
        if (!twin_value(t)) return false;
        twin_space(t);
        if (twin_take(t, close)) return true;
        if (!twin_take(t, ',')) return false;
    }
}

static bool twin_word(twin *t, const char *word) {
    while (*word != 0)
        if (!twin_take(t, *word++)) return false;
    return true;
}

static bool twin_value(twin *t) {
    twin_space(t);
    const int c = twin_peek(t);
    if (c == '[' || c == '{') {
        if (++t->depth > 1024) return false;
        t->at++;
        const bool good = twin_members(t, c == '{');
        t->depth--;
        return good;
    }
    if (c == '"') return twin_string(t);
    if (c == 't') return twin_word(t, "true");
    if (c == 'f') return twin_word(t, "false");
    if (c == 'n') return twin_word(t, "null");
    return twin_number(t);
}

static bool twin_is_json(const uint8_t *data, size_t size) {
    twin t = {data, data + size, 0};
    if (size == 0 || !twin_value(&t)) return false;
    twin_space(&t);
    return t.at == t.end;
}

#endif
