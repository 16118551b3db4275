#include "check.h"
#include "evcore/json.h"
#include "evcore/json_write.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

static uint8_t room[1024];

static bool writes_text(const char *text, size_t len, const char *expected) {
    const size_t size = (size_t)(ev_json_put_text(room, (const uint8_t *)text, len) - room);
    return size == strlen(expected) && memcmp(room, expected, size) == 0 && size <= ev_json_text_room(len);
}

static void strings_are_quoted_and_only_what_must_be_is_escaped(void) {
    CHECK(writes_text(NULL, 0, "\"\""));
    CHECK(writes_text("a/b", 3, "\"a/b\""));
    CHECK(writes_text("\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\""));
    CHECK(writes_text("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""));
    CHECK(writes_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""));
}

/* Every byte that a string can hold, at every place of strings around the width of a word. */
static void each_byte_at_each_place_reads_back(void) {
    for (size_t len = 1; len <= 24; len++)
        for (size_t place = 0; place < len; place++)
            for (unsigned byte = 0; byte < 128; byte++) {
                uint8_t text[24], back[200];
                size_t at = 0, back_len = 0;
                memset(text, 'x', sizeof text);
                text[place] = (uint8_t)byte;
                const size_t size = (size_t)(ev_json_put_text(room, text, len) - room);
                CHECK(ev_json_skip(room, size, 1, &at) == EV_JSON_OK && at == size);
                CHECK(ev_json_text(room, size, back, &back_len) == len);
                CHECK(back_len == len && memcmp(back, text, len) == 0);
            }
}

static bool writes_integer(int64_t value, const char *expected) {
    const size_t size = (size_t)(ev_json_put_integer(room, value) - room);
    return size == strlen(expected) && memcmp(room, expected, size) == 0 && size <= EV_JSON_INTEGER_MAX;
}

static void integers_are_written_up_to_both_ends(void) {
    CHECK(writes_integer(0, "0"));
    CHECK(writes_integer(-1, "-1"));
    CHECK(writes_integer(10, "10"));
    CHECK(writes_integer(4711, "4711"));
    CHECK(writes_integer(INT64_MAX, "9223372036854775807"));
    CHECK(writes_integer(INT64_MIN, "-9223372036854775808"));
}

static bool writes_real(double value, const char *expected) {
    int tenths = -1;
    const uint8_t *end = ev_json_put_real(room, value, &tenths);
    if (end == NULL) return expected == NULL;
    const size_t size = (size_t)(end - room);
    const bool right = expected != NULL && size == strlen(expected) && memcmp(room, expected, size) == 0;
    return right && size <= EV_JSON_REAL_MAX && tenths == (int)ev_json_multiple(room, size, 1);
}

static void doubles_are_written_with_their_shortest_digits_or_not_at_all(void) {
    CHECK(writes_real(0.0, "0.0"));
    CHECK(writes_real(-0.0, "-0.0"));
    CHECK(writes_real(16.0, "16.0"));
    CHECK(writes_real(230.1, "230.1"));
    CHECK(writes_real(-0.7, "-0.7"));
    CHECK(writes_real(0.05, "0.05"));
    CHECK(writes_real(1234567.089, "1234567.089"));
    CHECK(writes_real(0.000000001, "0.000000001"));
    CHECK(writes_real(999999999999999.0, "999999999999999.0"));
    CHECK(writes_real(1e15, NULL));
    CHECK(writes_real(0.1 + 0.2, NULL));
    CHECK(writes_real(1e-10, NULL));
    CHECK(writes_real(5e-324, NULL));
    CHECK(writes_real(1.7976931348623157e308, NULL));
    CHECK(writes_real(INFINITY, NULL));
    CHECK(writes_real(NAN, NULL));
}

static void every_tenth_and_every_hundredth_reads_back(void) {
    for (int i = -200000; i <= 200000; i++)
        for (int places = 1; places <= 2; places++) {
            const double value = i / (places == 1 ? 10.0 : 100.0);
            int tenths = 0;
            uint8_t *end = ev_json_put_real(room, value, &tenths);
            CHECK(end != NULL);
            if (end == NULL) return;
            *end = 0;
            CHECK(strtod((const char *)room, NULL) == value);
            CHECK(tenths == (places == 1 || i % 10 == 0));
        }
}

int main(void) {
    strings_are_quoted_and_only_what_must_be_is_escaped();
    each_byte_at_each_place_reads_back();
    integers_are_written_up_to_both_ends();
    doubles_are_written_with_their_shortest_digits_or_not_at_all();
    every_tenth_and_every_hundredth_reads_back();
    CHECK_DONE();
}
