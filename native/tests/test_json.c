#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "check.h"
#include "evcore/json.h"
#include "guard.h"
#include <stdbool.h>

static guarded page;

static ev_json_status skip_bytes(const void *text, size_t len, unsigned depth, size_t *at) {
    *at = 0;
    return ev_json_skip(guard_copy(&page, text, len), len, depth, at);
}

/* The whole text is one value. */
static bool accepts(const char *text) {
    size_t at;
    return skip_bytes(text, strlen(text), 32, &at) == EV_JSON_OK && at == strlen(text);
}

static bool refuses(const char *text, ev_json_status status, size_t where) {
    size_t at;
    const ev_json_status got = skip_bytes(text, strlen(text), 32, &at);
    if (got != status || at != where) fprintf(stderr, "%s: status %d at %zu\n", text, (int)got, at);
    return got == status && at == where;
}

static void values_are_stepped_over(void) {
    CHECK(accepts("null"));
    CHECK(accepts("true"));
    CHECK(accepts("false"));
    CHECK(accepts("{}"));
    CHECK(accepts("[ ]"));
    CHECK(accepts("[1,[2,{\"a\":[]}],{\"b\":{},\"b\":null}]"));
    CHECK(accepts("{ \"a\" :\t1 ,\n\"b\"\r: [ ] }"));
    size_t at = 1;
    const uint8_t list[] = "[12,3]";
    CHECK(ev_json_skip(list, 6, 1, &at) == EV_JSON_OK && at == 3);
    at = 0;
    CHECK(ev_json_skip(NULL, 0, 1, &at) == EV_JSON_SYNTAX && at == 0);
}

static void what_is_no_json_is_refused_where_it_goes_wrong(void) {
    CHECK(refuses("nul", EV_JSON_SYNTAX, 3));
    CHECK(refuses("nulL", EV_JSON_SYNTAX, 3));
    CHECK(refuses("NaN", EV_JSON_SYNTAX, 0));
    CHECK(refuses("-Infinity", EV_JSON_SYNTAX, 1));
    CHECK(refuses("[1,]", EV_JSON_SYNTAX, 3));
    CHECK(refuses("[,1]", EV_JSON_SYNTAX, 1));
    CHECK(refuses("[1 2]", EV_JSON_SYNTAX, 3));
    CHECK(refuses("[1}", EV_JSON_SYNTAX, 2));
    CHECK(refuses("{\"a\":1]", EV_JSON_SYNTAX, 6));
    CHECK(refuses("{\"a\":1,}", EV_JSON_SYNTAX, 7));
    CHECK(refuses("{a:1}", EV_JSON_SYNTAX, 1));
    CHECK(refuses("{\"a\" 1}", EV_JSON_SYNTAX, 5));
    CHECK(refuses("{\"a\":}", EV_JSON_SYNTAX, 5));
    CHECK(refuses("[1,\v2]", EV_JSON_SYNTAX, 3));
    CHECK(refuses("'a'", EV_JSON_SYNTAX, 0));
}

static void numbers_have_the_grammar_of_json(void) {
    const char *const good[] = {"0",    "-0",      "10",      "-1",       "0.5",    "1e5",
                                "1E+5", "1.25e-3", "0e99999", "1e-99999", "-0.0e0", "123456789012345678"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(accepts(good[i]));
    CHECK(refuses("1.", EV_JSON_SYNTAX, 2));
    CHECK(refuses(".5", EV_JSON_SYNTAX, 0));
    CHECK(refuses("+1", EV_JSON_SYNTAX, 0));
    CHECK(refuses("-", EV_JSON_SYNTAX, 1));
    CHECK(refuses("1e", EV_JSON_SYNTAX, 2));
    CHECK(refuses("1e+", EV_JSON_SYNTAX, 3));
    CHECK(refuses("[01]", EV_JSON_SYNTAX, 2));
    CHECK(refuses("[1.e3]", EV_JSON_SYNTAX, 3));
    CHECK(refuses("[0x10]", EV_JSON_SYNTAX, 2));
}

static void integers_end_at_int64(void) {
    CHECK(accepts("9223372036854775807"));
    CHECK(accepts("-9223372036854775808"));
    CHECK(accepts("9223372036854775808.0"));
    CHECK(refuses("9223372036854775808", EV_JSON_INT64, 0));
    CHECK(refuses("[1,-9223372036854775809]", EV_JSON_INT64, 3));
    CHECK(refuses("10000000000000000000", EV_JSON_INT64, 0));
    CHECK(refuses("123456789012345678901234567890", EV_JSON_INT64, 0));
}

static void numbers_that_round_to_infinity_are_refused(void) {
    CHECK(accepts("1.7976931348623157e308"));
    CHECK(accepts("1.797693134862315807e308"));
    CHECK(refuses("1.7976931348623159e308", EV_JSON_INFINITE, 0));
    CHECK(refuses("-1e309", EV_JSON_INFINITE, 0));
    CHECK(refuses("[0.1e310]", EV_JSON_INFINITE, 1));
    CHECK(accepts("0.00000000000000000001e328"));
    CHECK(refuses("0.00000000000000000001e329", EV_JSON_INFINITE, 0));
    CHECK(refuses("1e99999999999999999999999", EV_JSON_INFINITE, 0));
    CHECK(accepts("0.000e99999999999999999999999"));
    CHECK(accepts("1e-99999999999999999999999"));

    /* 2^1024 - 2^970 is the first one that does (309 digits). */
    char text[400] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880177904174497792"
        ".0";
    CHECK(strlen(text) == 311);
    CHECK(refuses(text, EV_JSON_INFINITE, 0));
    text[308]--; /* ...79.0 */
    text[310] = '9';
    CHECK(accepts(text));
    text[308]++;
    text[309] = 'e'; /* ...80e0: the digits decide, the exponent only says that it is no integer */
    text[310] = '0';
    CHECK(refuses(text, EV_JSON_INFINITE, 0));
    text[308]--;
    CHECK(accepts(text));
}

static void strings_hold_utf8_and_whole_escapes(void) {
    CHECK(accepts("\"\""));
    CHECK(accepts("\"a\x7f b\""));
    CHECK(accepts("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\\ud83D\\uDe00\""));
    CHECK(accepts("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""));
    CHECK(refuses("\"a", EV_JSON_SYNTAX, 2));
    CHECK(refuses("\"a\nb\"", EV_JSON_SYNTAX, 2));
    CHECK(refuses("\"\\x\"", EV_JSON_SYNTAX, 1));
    CHECK(refuses("\"\\u12G4\"", EV_JSON_SYNTAX, 1));
    CHECK(refuses("\"\\u123", EV_JSON_SYNTAX, 1));
    CHECK(refuses("\"\\", EV_JSON_SYNTAX, 2));
    CHECK(refuses("\"\\uD800\"", EV_JSON_UTF8, 1));
    CHECK(refuses("\"\\uD800\\uD800\"", EV_JSON_UTF8, 1));
    CHECK(refuses("\"\\uDC00\\uD800\"", EV_JSON_UTF8, 1));
    const char *const bad[] = {"\"\x80\"",
                               "\"\xc0\xaf\"",
                               "\"\xc1\xbf\"",
                               "\"\xe0\x9f\xbf\"",
                               "\"\xed\xa0\x80\"",
                               "\"\xf0\x8f\xbf\xbf\"",
                               "\"\xf4\x90\x80\x80\"",
                               "\"\xf5\x80\x80\x80\"",
                               "\"\xff\"",
                               "\"\xc2\"",
                               "\"\xe1\x80\"",
                               "\"\xf1\x80\x80\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(refuses(bad[i], EV_JSON_UTF8, 1));
    size_t at;
    CHECK(skip_bytes("\"\0\"", 3, 1, &at) == EV_JSON_SYNTAX && at == 1);
    CHECK(skip_bytes("\"\\\0\"", 4, 1, &at) == EV_JSON_SYNTAX && at == 1);
}

/* Every byte value at every place of a long string: the eight-byte steps miss none. */
static void every_byte_at_every_place_of_a_string_is_seen(void) {
    char text[32];
    for (size_t place = 1; place < sizeof text - 1; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, '!', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[place] = (char)byte;
            size_t at;
            const ev_json_status status = skip_bytes(text, sizeof text, 1, &at);
            if (byte == '"')
                CHECK(status == EV_JSON_OK && at == place + 1);
            else if (byte == '\\' || byte < 0x20)
                CHECK(status == EV_JSON_SYNTAX && at == (place == 30 && byte == '\\' ? 32 : place));
            else
                CHECK(status == (byte < 0x80 ? EV_JSON_OK : EV_JSON_UTF8));
        }
    }
}

static void nesting_is_allowed_to_the_limit_and_no_deeper(void) {
    static char text[2 * EV_JSON_DEPTH_MAX + 4];
    for (size_t levels = 1; levels <= EV_JSON_DEPTH_MAX + 1; levels += levels < 66 ? 1 : 51) {
        memset(text, '[', levels);
        memset(text + levels, ']', levels);
        size_t at;
        const bool allowed = levels <= EV_JSON_DEPTH_MAX;
        CHECK(skip_bytes(text, 2 * levels, (unsigned)levels, &at) == (allowed ? EV_JSON_OK : EV_JSON_DEPTH));
        CHECK(skip_bytes(text, 2 * levels, (unsigned)levels - 1, &at) == EV_JSON_DEPTH);
        if (allowed) CHECK(at == levels - 1);
        text[2 * levels - 1] = '}'; /* the outermost does not match */
        CHECK(skip_bytes(text, 2 * levels, (unsigned)levels, &at) == (allowed ? EV_JSON_SYNTAX : EV_JSON_DEPTH));
    }
    size_t at;
    CHECK(skip_bytes("1", 1, 0, &at) == EV_JSON_OK);
    CHECK(skip_bytes("{\"a\":[{}]}", 10, 3, &at) == EV_JSON_OK);
    CHECK(skip_bytes("{\"a\":[{}]}", 10, 2, &at) == EV_JSON_DEPTH && at == 6);
}

static void strings_are_decoded_and_counted_in_code_points(void) {
    const char token[] = "\"a\\u0062\\n\\/\xc3\xa9\\u00e9\\u20AC\\uD83D\\uDE00\xf0\x9f\x98\x80\"";
    const char expected[] = "ab\n/\xc3\xa9\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80";
    uint8_t out[sizeof token];
    size_t len = 0;
    CHECK(accepts(token));
    CHECK(ev_json_text((const uint8_t *)token, sizeof token - 1, out, &len) == 9);
    CHECK(len == sizeof expected - 1 && memcmp(out, expected, len) == 0);
    CHECK(ev_json_text((const uint8_t *)token, sizeof token - 1, NULL, NULL) == 9);
    CHECK(ev_json_text((const uint8_t *)"\"\\u0000\"", 8, out, &len) == 1 && len == 1 && out[0] == 0);
    CHECK(ev_json_text((const uint8_t *)"\"\"", 2, out, &len) == 0 && len == 0);
}

static void space_is_four_bytes_and_no_others(void) {
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t data[2] = {(uint8_t)byte, 'x'};
        const bool space = byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D;
        CHECK(ev_json_space(data, 2, 0) == (space ? 1u : 0u));
    }
    CHECK(ev_json_space(NULL, 0, 0) == 0);
}

static void numbers_have_the_value_of_their_text(void) {
    static const struct {
        const char *text;
        double value;
    } reals[] = {{"0.0", 0.0},         {"1.5", 1.5},
                 {"-2.25e2", -225.0},  {"1e22", 1e22},
                 {"1E-22", 1e-22},     {"230.4", 230.4},
                 {"0e999999", 0.0},    {"123456789012.345", 123456789012.345},
                 {"12345.6", 12345.6}, {"9007199254740992.0e0", 9007199254740992.0}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double value = -1;
        const int quick = ev_json_real((const uint8_t *)reals[i].text, strlen(reals[i].text), &value);
        CHECK(quick ? value == reals[i].value : i == 9);
    }
    double value;
    static const char *const hard[] = {"1e23", "1e-23", "9007199254740993.0", "0.1234567890123456789", "1e-400"};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        CHECK(!ev_json_real((const uint8_t *)hard[i], strlen(hard[i]), &value));
    CHECK(ev_json_real((const uint8_t *)"-0.0", 4, &value) && value == 0 && 1 / value < 0);
    CHECK(ev_json_integer((const uint8_t *)"-9223372036854775808", 20) == INT64_MIN);
    CHECK(ev_json_integer((const uint8_t *)"9223372036854775807", 19) == INT64_MAX);
    CHECK(ev_json_integer((const uint8_t *)"-0", 2) == 0 && ev_json_integer((const uint8_t *)"-17", 3) == -17);
}

static void a_multiple_is_one_by_its_digits(void) {
    static const char *const tenths[] = {"0.1", "-0.30", "16",     "1e300",  "3e-1",
                                         "0.0", "0e-9",  "1.23e1", "120e-2", "10e-2"};
    static const char *const others[] = {"0.35", "1e-2", "0.30000000000000000001", "1.234e1", "-1e-999999999999999999",
                                         "12e-2"};
    for (size_t i = 0; i < sizeof tenths / sizeof *tenths; i++)
        CHECK(ev_json_multiple((const uint8_t *)tenths[i], strlen(tenths[i]), 1));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!ev_json_multiple((const uint8_t *)others[i], strlen(others[i]), 1));
    CHECK(ev_json_multiple((const uint8_t *)"0.35", 4, 2) && !ev_json_multiple((const uint8_t *)"0.1", 3, 0));
}

static void the_way_to_a_value_is_found(void) {
    const char text[] = "{\"a\":[1,\"]\",{\"b\\\"\" : {\"c\":[[],[7]]}}],\"d\":8}";
    ev_json_step steps[8];
    const size_t seven = (size_t)(strchr(text, '7') - text), eight = (size_t)(strchr(text, '8') - text);
    CHECK(ev_json_path((const uint8_t *)text, sizeof text - 1, 0, seven, steps, 8) == 6);
    CHECK(steps[0].at == 1 && steps[0].len == 3 && steps[1].len == 0 && steps[1].at == 2);
    CHECK(steps[2].len == 5 && steps[3].len == 3 && steps[4].at == 1 && steps[5].at == 0 && steps[5].len == 0);
    CHECK(ev_json_path((const uint8_t *)text, sizeof text - 1, 0, eight, steps, 8) == 1);
    CHECK(text[steps[0].at + 1] == 'd');
    CHECK(ev_json_path((const uint8_t *)text, sizeof text - 1, 0, 0, steps, 8) == 0);
    CHECK(ev_json_path((const uint8_t *)text, sizeof text - 1, 0, seven, steps, 3) == 3);
}

static void a_tape_has_an_entry_for_each_value_and_name(void) {
    const char text[] = "[{\"a\":null,\"\":[true,false]},\"\\n\",-1,1.5,[]]";
    const ev_tape_kind kinds[] = {EV_TAPE_ARRAY,  EV_TAPE_OBJECT,  EV_TAPE_KEY,  EV_TAPE_NULL,
                                  EV_TAPE_KEY,    EV_TAPE_ARRAY,   EV_TAPE_TRUE, EV_TAPE_FALSE,
                                  EV_TAPE_STRING, EV_TAPE_INTEGER, EV_TAPE_REAL, EV_TAPE_ARRAY};
    const uint32_t sizes[] = {5, 2, 1, 4, 0, 2, 4, 5, 2, 2, 3, 0};
    ev_tape tape[64], *next = tape;
    size_t at = 0, nodes = 10;
    CHECK(sizeof kinds / sizeof *kinds <= ev_tape_room(sizeof text - 1, 8, 10));
    CHECK(ev_json_walk((const uint8_t *)text, sizeof text - 1, 8, &nodes, &next, 77, &at) == EV_JSON_OK && nodes == 0);
    CHECK(next - tape == sizeof kinds / sizeof *kinds && tape[0].key == 77 && tape[1].key == EV_TAPE_NO_KEY);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK(tape[i].kind == kinds[i] && tape[i].size == sizes[i]);
    at = 0;
    nodes = 9;
    CHECK(ev_json_walk((const uint8_t *)text, sizeof text - 1, 8, &nodes, NULL, 0, &at) == EV_JSON_NODES);
}

int main(void) {
    page = guard_open(4096);
    values_are_stepped_over();
    what_is_no_json_is_refused_where_it_goes_wrong();
    numbers_have_the_grammar_of_json();
    integers_end_at_int64();
    numbers_that_round_to_infinity_are_refused();
    strings_hold_utf8_and_whole_escapes();
    every_byte_at_every_place_of_a_string_is_seen();
    nesting_is_allowed_to_the_limit_and_no_deeper();
    strings_are_decoded_and_counted_in_code_points();
    space_is_four_bytes_and_no_others();
    numbers_have_the_value_of_their_text();
    a_multiple_is_one_by_its_digits();
    the_way_to_a_value_is_found();
    a_tape_has_an_entry_for_each_value_and_name();
    CHECK_DONE();
}
