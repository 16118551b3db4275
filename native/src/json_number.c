/* Numbers of JSON: limits, doubles and digits, each decided exactly. */
#include "json_scan.h"
#include <float.h>

/* 2^1024 - 2^970, halfway between the largest double and the next power of two: from here on a number rounds to
 * infinity. */
static const char first_infinite[] =
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070"
    "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447"
    "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904"
    "174497792";

enum { INFINITE_DIGITS = 309 };

/* A number in its parts: digits[0..count) with one '.' maybe, times 10^exponent. */
typedef struct {
    const uint8_t *digits, *end;
    size_t integer, fraction; /* digits before and after the point */
    int64_t exponent;
} parts;

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end) {
    while (p < end && ev_is_digit(*p))
        p++;
    return p;
}

/* Reads the digits of an exponent. One larger than any length in memory stays there: it decides alone. */
static bool read_exponent(const uint8_t **at, const uint8_t *end, int64_t *exponent) {
    const uint8_t *p = *at;
    const bool negative = p < end && *p == '-';
    if (negative || (p < end && *p == '+')) p++;
    const uint8_t *from = p;
    int64_t value = 0;
    for (; p < end && ev_is_digit(*p); p++)
        if (value < INT64_C(1000000000000000)) value = value * 10 + (*p - '0');
    *exponent = negative ? -value : value;
    *at = p;
    return p > from;
}

/* The parts of a number from its first digit on. False: *at is the byte that breaks its grammar. */
static bool read_parts(const uint8_t **at, const uint8_t *end, parts *all) {
    const uint8_t *p = *at;
    all->digits = p;
    all->fraction = 0;
    all->exponent = 0;
    p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
    all->integer = (size_t)(p - all->digits);
    bool good = all->integer > 0;
    if (good && p < end && *p == '.') {
        const uint8_t *point = p++;
        p = skip_digits(p, end);
        all->fraction = (size_t)(p - point - 1);
        good = all->fraction > 0;
    }
    all->end = p;
    if (good && p < end && (*p | 0x20) == 'e') {
        p++;
        good = read_exponent(&p, end, &all->exponent);
    }
    *at = p;
    return good;
}

/* Does it round to infinity? Exact: the digits are compared. */
static bool is_infinite(const parts *all) {
    const uint8_t *p = all->digits, *end = all->end;
    int64_t power = all->exponent + (int64_t)all->integer; /* the value is 0.DIGITS * 10^power */
    for (; p < end && (*p == '0' || *p == '.'); p++)
        power -= *p == '0';
    if (p == end) return false; /* zero, whatever its exponent */
    if (power != INFINITE_DIGITS) return power > INFINITE_DIGITS;
    for (int i = 0; i < INFINITE_DIGITS; i++) {
        if (p < end && *p == '.') p++;
        const uint8_t digit = p < end ? *p++ : '0';
        if (digit != (uint8_t)first_infinite[i]) return digit > (uint8_t)first_infinite[i];
    }
    return true;
}

static bool beyond_int64(const uint8_t *digits, size_t count, bool negative) {
    if (count != 19) return count > 19;
    return memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) > 0;
}

ev_json_status ev_scan_long_number(const uint8_t **at, const uint8_t *end, const uint8_t *first, ev_number *number) {
    parts all;
    const uint8_t *p = first;
    const bool good = read_parts(&p, end, &all);
    *at = p;
    if (!good) return EV_JSON_SYNTAX;
    number->real = p > first + all.integer;
    if (!number->real) return beyond_int64(first, all.integer, number->negative) ? EV_JSON_INT64 : EV_JSON_OK;
    number->simple = all.integer + all.fraction <= 19;
    number->power = all.exponent - (int64_t)all.fraction;
    number->digits = 0;
    for (const uint8_t *digit = all.digits; number->simple && digit < all.end; digit++)
        if (*digit != '.') number->digits = number->digits * 10 + (uint64_t)(*digit - '0');
    if (all.exponent == 0 && all.integer < INFINITE_DIGITS) return EV_JSON_OK;
    return is_infinite(&all) ? EV_JSON_INFINITE : EV_JSON_OK;
}

bool ev_number_double(const ev_number *number, double *value) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double result = (double)number->digits;
    if (!number->simple) return false;
    if (number->digits != 0) {
        /* Both operands are exact, so the one operation rounds once; not where doubles are computed wider. */
        if (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1) return false;
        if (number->digits > UINT64_C(1) << 53 || number->power < -22 || number->power > 22) return false;
        result = number->power < 0 ? result / powers[-number->power] : result * powers[number->power];
    }
    *value = number->negative ? -result : result;
    return true;
}

int64_t ev_json_integer(const uint8_t *text, size_t len) {
    const bool negative = text[0] == '-';
    uint64_t value = 0; /* to 2^63: unsigned, for the most negative */
    for (size_t i = negative; i < len; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    if (!negative) return (int64_t)value;
    return value == 0 ? 0 : -(int64_t)(value - 1) - 1;
}

bool ev_json_real(const uint8_t *text, size_t len, double *value) {
    ev_number number;
    return ev_scan_number(&text, text + len, &number) == EV_JSON_OK && ev_number_double(&number, value);
}

bool ev_json_multiple(const uint8_t *text, size_t len, unsigned places) {
    parts all;
    const uint8_t *at = text + (text[0] == '-');
    read_parts(&at, text + len, &all);
    /* Digits further right than the last place allowed must be zeros. */
    int64_t surplus = (int64_t)all.fraction - all.exponent - (int64_t)places;
    for (const uint8_t *p = all.end; surplus > 0 && p > all.digits;) {
        if (*--p == '.') continue;
        if (*p != '0') return false;
        surplus--;
    }
    return true;
}
