#include "evcore/json_write.h"
#include "json_scan.h"

/* ---- strings ---- */

/* The byte after the backslash: 0 where there is no short form. */
static uint8_t short_form(uint8_t byte) {
    switch (byte) {
    case '"':
    case '\\':
        return byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static uint8_t *put_escape(uint8_t *out, uint8_t byte) {
    static const uint8_t hex[] = "0123456789abcdef";
    const uint8_t letter = short_form(byte);
    *out++ = '\\';
    if (letter != 0) {
        *out++ = letter;
        return out;
    }
    memcpy(out, "u00", 3);
    out[3] = hex[byte >> 4];
    out[4] = hex[byte & 15];
    return out + 5;
}

/* Bit 7 of each byte that must be escaped, as ev_special: no mark is missing, the lowest is right. */
static uint64_t escaped(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return ((word - ones * 0x20) | (quote - ones) | (slash - ones)) & ~word & high;
}

/* A string or its end of fewer than eight bytes. */
static uint8_t *put_short(uint8_t *out, const uint8_t *text, size_t len) {
    if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + len - 4, 4);
        if (escaped((uint64_t)first << 32 | last) == 0) {
            memcpy(out, &first, 4);
            memcpy(out + len - 4, &last, 4);
            return out + len;
        }
    }
    for (const uint8_t *end = text + len; text < end; text++) {
        if (*text < 0x20 || *text == '"' || *text == '\\')
            out = put_escape(out, *text);
        else
            *out++ = *text;
    }
    return out;
}

uint8_t *ev_json_put_text(uint8_t *out, const uint8_t *text, size_t len) {
    *out++ = '"';
    while (len >= 8) {
        const uint64_t marks = escaped(ev_load64(text));
        memcpy(out, text, 8);
        if (marks == 0) {
            text += 8, out += 8, len -= 8;
        } else {
            const unsigned plain = ev_lowest(marks);
            out = put_escape(out + plain, text[plain]);
            text += plain + 1, len -= plain + 1;
        }
    }
    out = put_short(out, text, len);
    *out++ = '"';
    return out;
}

/* ---- numbers ---- */

static uint8_t *put_digits(uint8_t *out, uint64_t value) {
    uint8_t digits[20];
    unsigned at = 20;
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(out, digits + at, 20 - at);
    return out + (20 - at);
}

uint8_t *ev_json_put_integer(uint8_t *out, int64_t value) {
    if (value >= 0) return put_digits(out, (uint64_t)value);
    *out++ = '-';
    return put_digits(out, 0 - (uint64_t)value);
}

/* value = whole / 10^places exactly rounded, so that these digits read back as it; the first such count of places
 * leaves no zero at the end, and of up to 15 digits no two texts name the same double: it is the shortest. */
uint8_t *ev_json_put_real(uint8_t *out, double value, int *tenths) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    const double size = value < 0 ? -value : value;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (unsigned places = 0; places < sizeof powers / sizeof *powers; places++) {
        const double scaled = size * powers[places];
        if (!(scaled < 1e15)) return NULL; /* too long, infinite or NaN */
        const uint64_t whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / powers[places] != size) continue;
        const uint64_t unit = (uint64_t)powers[places];
        if (bits >> 63) *out++ = '-';
        out = put_digits(out, whole / unit);
        *out++ = '.';
        *tenths = places <= 1;
        if (places == 0) {
            *out++ = '0';
            return out;
        }
        uint64_t fraction = whole % unit;
        for (unsigned i = places; i > 0; i--, fraction /= 10)
            out[i - 1] = (uint8_t)('0' + fraction % 10);
        return out + places;
    }
    return NULL;
}
