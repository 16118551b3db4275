/* The formats of JSON Schema that OCPP's schemas name. */
#include "evcore/payload.h"
#include "json_scan.h"

/* ---- date-time (RFC 3339, 5.6) ---- */

typedef struct {
    const uint8_t *at, *end;
    bool good;
} text;

static bool take(text *t, const char *set) {
    const bool found = t->at < t->end && *t->at != 0 && strchr(set, *t->at) != NULL;
    t->at += found;
    return found;
}

static void want(text *t, const char *set) {
    t->good = t->good && take(t, set);
}

/* A number of exactly `digits` digits within its limits. */
static int number(text *t, int digits, int low, int high) {
    int value = 0;
    for (int i = 0; i < digits; i++, t->at++) {
        if (t->at == t->end || !ev_is_digit(*t->at)) {
            t->good = false;
            return 0;
        }
        value = value * 10 + (*t->at - '0');
    }
    if (value < low || value > high) t->good = false;
    return value;
}

static int days_of(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool ev_format_date_time(const uint8_t *bytes, size_t len) {
    text t = {bytes, bytes + len, true};
    const int year = number(&t, 4, 0, 9999);
    want(&t, "-");
    const int month = number(&t, 2, 1, 12);
    want(&t, "-");
    const int day = number(&t, 2, 1, 31);
    want(&t, "Tt");
    const int hour = number(&t, 2, 0, 23);
    want(&t, ":");
    const int minute = number(&t, 2, 0, 59);
    want(&t, ":");
    const int second = number(&t, 2, 0, 60);
    if (t.good && take(&t, ".")) {
        const uint8_t *first = t.at;
        while (t.at < t.end && ev_is_digit(*t.at))
            t.at++;
        t.good = t.at > first;
    }
    int offset = 0;
    if (t.good && !take(&t, "Zz")) {
        const int sign = t.at < t.end && *t.at == '-' ? -1 : 1;
        want(&t, "+-");
        const int hours = number(&t, 2, 0, 23);
        want(&t, ":");
        offset = sign * (hours * 60 + number(&t, 2, 0, 59));
    }
    if (!t.good || t.at != t.end || day > days_of(year, month)) return false;
    /* A leap second ends a day of UTC (RFC 3339, 5.7). */
    return second < 60 || (hour * 60 + minute - offset + 2880) % 1440 == 1439;
}

/* ---- uri (RFC 3986, 3) ---- */

static bool is_alpha(uint8_t byte) {
    byte |= 0x20;
    return byte >= 'a' && byte <= 'z';
}

static bool is_hex(uint8_t byte) {
    return ev_is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* Steps over characters of URIs: unreserved, sub-delims, percent-encoded, and those in `more`. */
static void characters(text *t, const char *more) {
    while (t->at < t->end) {
        const uint8_t byte = *t->at;
        if (byte == '%') {
            if (t->end - t->at < 3 || !is_hex(t->at[1]) || !is_hex(t->at[2])) return;
            t->at += 3;
        } else if (is_alpha(byte) || ev_is_digit(byte) ||
                   (byte != 0 && (strchr("-._~!$&'()*+,;=", byte) != NULL || strchr(more, byte) != NULL))) {
            t->at++;
        } else {
            return;
        }
    }
}

/* [userinfo@]host[:port]; what stands in the brackets of an address is not judged further than by its characters. */
static void authority(text *t) {
    const uint8_t *start = t->at;
    characters(t, ":");
    if (take(t, "@"))
        start = t->at;
    else
        t->at = start;
    if (take(t, "[")) {
        const uint8_t *first = t->at;
        while (t->at < t->end && (is_hex(*t->at) || *t->at == ':' || *t->at == '.'))
            t->at++;
        t->good = t->good && t->at > first;
        want(t, "]");
    } else {
        characters(t, "");
    }
    if (take(t, ":"))
        while (t->at < t->end && ev_is_digit(*t->at))
            t->at++;
}

bool ev_format_uri(const uint8_t *bytes, size_t len) {
    text t = {bytes, bytes + len, len > 0 && is_alpha(bytes[0])};
    while (t.at < t.end && (is_alpha(*t.at) || ev_is_digit(*t.at) || *t.at == '+' || *t.at == '-' || *t.at == '.'))
        t.at++;
    want(&t, ":");
    if (!t.good) return false;
    if (t.end - t.at >= 2 && t.at[0] == '/' && t.at[1] == '/') {
        t.at += 2;
        authority(&t);
        if (t.at < t.end && *t.at != '/' && *t.at != '?' && *t.at != '#') return false;
    }
    characters(&t, ":@/");
    if (take(&t, "?")) characters(&t, ":@/?");
    if (take(&t, "#")) characters(&t, ":@/?");
    return t.good && t.at == t.end;
}
