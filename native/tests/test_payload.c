#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "check.h"
#include "evcore/payload.h"
#include "guard.h"
#include "sample_schema.h"
#include <stdio.h>

static guarded page;
static ev_schema schema;
static uint32_t root;
static uint8_t hints[256];
static ev_tape tape[4096];
static size_t tape_len;
static ev_payload_result result;

static double real(const uint8_t *text, size_t len) {
    char copy[512];
    if (len >= sizeof copy) abort();
    memcpy(copy, text, len);
    copy[len] = 0;
    return strtod(copy, NULL);
}

static ev_payload_rules rules = {.schema = &schema, .hints = hints, .real = real, .depth = 16, .formats = true};

static ev_json_status read_bytes(const char *text, size_t len, size_t *at) {
    size_t nodes = 1000;
    ev_tape *next = tape;
    *at = 0;
    const ev_json_status status =
        ev_payload_read(guard_copy(&page, text, len), len, root, &rules, &nodes, &next, at, &result);
    tape_len = (size_t)(next - tape);
    return status;
}

static ev_rule verdict(const char *text) {
    size_t at;
    const size_t len = strlen(text);
    CHECK(read_bytes(text, len, &at) == EV_JSON_OK && at == len);
    return result.first.rule;
}

/* The verdict on one member beside a good name, in an object of the sample schema. */
static ev_rule member(const char *text) {
    char whole[2048];
    snprintf(whole, sizeof whole, "{\"name\":\"x\",%s}", text);
    return verdict(whole);
}

static void each_rule_is_held(void) {
    CHECK(verdict("{\"name\":\"x\"}") == EV_RULE_NONE);
    CHECK(verdict("{}") == EV_RULE_REQUIRED && result.first.at == 0);
    CHECK(schema.members[result.first.member].name == sample_name("name"));
    CHECK(verdict("{\"name\":5}") == EV_RULE_TYPE && result.first.at == 8);
    CHECK(verdict("{\"name\":\"123456\"}") == EV_RULE_MAX_LENGTH);
    CHECK(verdict("{\"name\":\"\"}") == EV_RULE_MIN_LENGTH);
    CHECK(verdict("{\"name\":\"x\",\"other\":{\"a\":[1]}}") == EV_RULE_ADDITIONAL && result.first.at == 12);
    CHECK(member("\"kind\":\"Bee\"") == EV_RULE_NONE);
    CHECK(member("\"kind\":\"Be\"") == EV_RULE_ENUM);
    CHECK(member("\"kind\":\"bee\"") == EV_RULE_ENUM);
    CHECK(member("\"kind\":null") == EV_RULE_TYPE);
    CHECK(member("\"n\":-1") == EV_RULE_MINIMUM && member("\"n\":101") == EV_RULE_MAXIMUM);
    CHECK(member("\"n\":1.0") == EV_RULE_TYPE && member("\"n\":1.5") == EV_RULE_TYPE);
    CHECK(member("\"whole\":1.0") == EV_RULE_NONE && member("\"whole\":1e300") == EV_RULE_NONE);
    CHECK(member("\"whole\":1.5") == EV_RULE_TYPE && member("\"whole\":-0.0") == EV_RULE_NONE);
    CHECK(member("\"whole\":1e-400") == EV_RULE_NONE); /* as a double it is zero */
    CHECK(member("\"limit\":16.1") == EV_RULE_NONE && member("\"limit\":16.15") == EV_RULE_MULTIPLE_OF);
    CHECK(member("\"share\":100.00000000000000000001") == EV_RULE_NONE); /* as a double it is 100 */
    CHECK(member("\"share\":100.1") == EV_RULE_MAXIMUM && member("\"share\":-1e-300") == EV_RULE_MINIMUM);
    CHECK(member("\"list\":[]") == EV_RULE_MIN_ITEMS && result.first.count == 0);
    CHECK(member("\"list\":[\"\",\"\",\"\",\"\"]") == EV_RULE_MAX_ITEMS && result.first.count == 4);
    CHECK(member("\"list\":[\"\",\"abc\"]") == EV_RULE_MAX_LENGTH && member("\"list\":{}") == EV_RULE_TYPE);
    CHECK(member("\"sub\":{\"n\":1}") == EV_RULE_REQUIRED && member("\"sub\":[]") == EV_RULE_TYPE);
    CHECK(member("\"sub\":{\"more\":[{}],\"vendorId\":\"v\"}") == EV_RULE_NONE);
    CHECK(member("\"flag\":true") == EV_RULE_NONE && member("\"flag\":\"true\"") == EV_RULE_TYPE);
    CHECK(member("\"free\":[{\"name\":5}]") == EV_RULE_NONE && member("\"gone\":null") == EV_RULE_NONE);
    CHECK(member("\"gone\":false") == EV_RULE_TYPE);
    CHECK(verdict("null") == EV_RULE_REQUIRED);
}

static void the_first_violation_in_the_text_is_the_one_told(void) {
    CHECK(verdict("{\"n\":-1,\"name\":5,\"x\":1}") == EV_RULE_MINIMUM && result.first.at == 5);
    CHECK(verdict("{\"list\":[5,6,7,8,9]}") == EV_RULE_TYPE && result.first.at == 9);
}

static void texts_count_in_code_points_and_words_by_what_they_mean(void) {
    CHECK(verdict("{\"name\":\"\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac"
                  "12\"}") == EV_RULE_NONE);
    CHECK(verdict("{\"name\":\"\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac"
                  "123\"}") == EV_RULE_MAX_LENGTH);
    CHECK(verdict("{\"name\":\"\\ud83d\\ude00\\n\\u00e9ab\"}") == EV_RULE_NONE);
    CHECK(verdict("{\"name\":\"\\ud83d\\ude00\\n\\u00e9abc\"}") == EV_RULE_MAX_LENGTH);
    CHECK(verdict("{\"n\\u0061me\":\"x\"}") == EV_RULE_NONE);
    CHECK(verdict("{\"name\" : \"x\"}") == EV_RULE_NONE);
    CHECK(member("\"kind\":\"B\\u0065e\"") == EV_RULE_NONE && member("\"kind\":\"B\\u0066e\"") == EV_RULE_ENUM);
    CHECK(member("\"kind\":\"\xc3\xa9\"") == EV_RULE_NONE && member("\"kind\":\"\\u00E9\"") == EV_RULE_NONE);
}

static void a_name_that_is_there_twice_is_told(void) {
    CHECK(verdict("{\"name\":\"x\",\"name\":\"y\"}") == EV_RULE_NONE && result.repeated);
    CHECK(verdict("{\"name\":5,\"n\\u0061me\":\"y\"}") == EV_RULE_TYPE && result.repeated);
    CHECK(verdict("{\"name\":5}") == EV_RULE_TYPE && !result.repeated);
}

static void a_format_is_judged_where_it_is_asked_for(void) {
    CHECK(member("\"time\":\"2026-11-23T18:00:00Z\"") == EV_RULE_NONE);
    CHECK(member("\"time\":\"2026-11-23T18:00:00\\u005a\"") == EV_RULE_NONE);
    CHECK(member("\"time\":\"yesterday\"") == EV_RULE_FORMAT);
    CHECK(member("\"link\":\"https:\\/\\/example.org\\/a?b#c\"") == EV_RULE_NONE);
    CHECK(member("\"link\":\"example.org\"") == EV_RULE_FORMAT);
    rules.formats = false;
    CHECK(member("\"time\":\"yesterday\"") == EV_RULE_NONE);
    rules.formats = true;
}

static void the_tape_tells_what_is_there(void) {
    CHECK(verdict("{\"name\":\"\xc3\xa9\\n\",\"kind\":\"Bee\",\"zz\":[1,-2.5,null],\"sub\":{\"vendorId\":\"v\"}}") ==
          EV_RULE_ADDITIONAL);
    const ev_tape expected[] = {
        {.kind = EV_TAPE_OBJECT, .key = EV_TAPE_NO_KEY, .size = 4},
        {.kind = EV_TAPE_STRING, .flags = EV_TAPE_WIDE | EV_TAPE_ESCAPED, .key = sample_name("name"), .size = 4},
        {.kind = EV_TAPE_WORD, .key = sample_name("kind"), .size = sample_name("Bee")},
        {.kind = EV_TAPE_KEY, .key = EV_TAPE_NO_KEY, .size = 2},
        {.kind = EV_TAPE_ARRAY, .key = EV_TAPE_NO_KEY, .size = 3},
        {.kind = EV_TAPE_INTEGER, .key = EV_TAPE_NO_KEY, .size = 1},
        {.kind = EV_TAPE_REAL, .key = EV_TAPE_NO_KEY, .size = 4},
        {.kind = EV_TAPE_NULL, .key = EV_TAPE_NO_KEY, .size = 4},
        {.kind = EV_TAPE_OBJECT, .key = sample_name("sub"), .size = 1},
        {.kind = EV_TAPE_STRING, .key = sample_name("vendorId"), .size = 1},
    };
    CHECK(tape_len == sizeof expected / sizeof *expected);
    for (size_t i = 0; i < tape_len; i++)
        CHECK(tape[i].kind == expected[i].kind && tape[i].flags == expected[i].flags &&
              tape[i].key == expected[i].key && tape[i].size == expected[i].size);
    CHECK(verdict("null") == EV_RULE_REQUIRED && tape_len == 1 && tape[0].kind == EV_TAPE_OBJECT && tape[0].size == 0);
}

static void limits_end_the_pass(void) {
    size_t at, nodes = 3;
    const char text[] = "{\"list\":[\"\",\"\"]}";
    const uint8_t *data = guard_copy(&page, text, sizeof text - 1);
    at = 0;
    CHECK(ev_payload_read(data, sizeof text - 1, root, &rules, &nodes, NULL, &at, &result) == EV_JSON_NODES &&
          at == 12);
    nodes = 4;
    at = 0;
    CHECK(ev_payload_read(data, sizeof text - 1, root, &rules, &nodes, NULL, &at, &result) == EV_JSON_OK && nodes == 0);
    rules.depth = 1;
    CHECK(read_bytes(text, sizeof text - 1, &at) == EV_JSON_DEPTH && at == 8);
    CHECK(read_bytes("{\"sub\":5,\"free\":{}}", 19, &at) == EV_JSON_DEPTH && at == 16);
    rules.depth = 2;
    CHECK(read_bytes(text, sizeof text - 1, &at) == EV_JSON_OK);
    rules.depth = 16;
    CHECK(read_bytes("{\"n\":9223372036854775808}", 25, &at) == EV_JSON_INT64 && at == 5);
}

/* Cut anywhere, before a page that may not be read: never whole, never read past its end, with and without what the
 * hints remember of the whole one. */
static void half_a_payload_is_never_one(void) {
    const char text[] =
        "{\"name\":\"\xc3\xa9\\u0041\",\"kind\":\"Energy.Active.Import.Register\",\"n\":17,\"limit\" : -1.5e1,"
        "\"list\":[ \"a\" , \"b\"],\"sub\":{\"vendorId\":\"v\",\"deep\":[{\"x\":[true,false,null]}]},"
        "\"time\":\"2026-11-23T18:00:00Z\",\"subs\":[{\"vendorId\":\"\"},{\"vendorId\":\"w\"}]}";
    size_t at;
    CHECK(verdict(text) == EV_RULE_NONE);
    for (int round = 0; round < 2; round++) {
        for (size_t len = 0; len < sizeof text - 1; len++) {
            if (round == 1) memset(hints, 0, sizeof hints);
            const ev_json_status status = read_bytes(text, len, &at);
            CHECK(status == EV_JSON_SYNTAX || status == EV_JSON_UTF8);
            CHECK(at <= len);
        }
        rules.hints = round == 0 ? hints : NULL;
        CHECK(verdict(text) == EV_RULE_NONE);
    }
    rules.hints = hints;
}

static void each_format_is_its_specification(void) {
    static const char *const times[] = {
        "2026-11-23T18:00:00Z", "2026-11-23t18:00:00.1z",    "2024-02-29T23:59:59.123456789+02:00",
        "2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "0000-01-01T00:00:00-23:59",
        "2000-02-29T00:00:00Z"};
    static const char *const no_times[] = {"",
                                           "2026-11-23",
                                           "2026-11-23 18:00:00Z",
                                           "2026-11-23T18:00:00",
                                           "2026-02-29T00:00:00Z",
                                           "1900-02-29T00:00:00Z",
                                           "2026-13-01T00:00:00Z",
                                           "2026-00-01T00:00:00Z",
                                           "2026-01-00T00:00:00Z",
                                           "2026-01-32T00:00:00Z",
                                           "2026-11-23T24:00:00Z",
                                           "2026-11-23T18:60:00Z",
                                           "2026-11-23T18:00:61Z",
                                           "2026-11-23T18:00:60Z",
                                           "2026-11-23T18:00:00.Z",
                                           "2026-11-23T18:00:00+2:00",
                                           "2026-11-23T18:00:00+0200",
                                           "2026-11-23T18:00:00+24:00",
                                           "2026-11-23T18:00:00ZZ",
                                           "26-11-23T18:00:00Z",
                                           "2026-11-23T18:00Z"};
    static const char *const uris[] = {"http://example.org",
                                       "https://u:p@h.example:8080/a/b?c=d&e#f",
                                       "ftp://[::1]/x",
                                       "urn:uuid:1234",
                                       "a:",
                                       "mailto:x@example.org",
                                       "x-y+z.1:%20",
                                       "file:///tmp/a",
                                       "http://[fe80::1.2.3.4]:80",
                                       "http://h:/"};
    static const char *const no_uris[] = {"",
                                          "example.org",
                                          "//h/p",
                                          "1a:b",
                                          ":x",
                                          "http://a b",
                                          "http://h/%2",
                                          "http://h/%zz",
                                          "http://[::1",
                                          "http://h:80a/",
                                          "http://h/<>",
                                          "http://h/\xc3\xa9",
                                          "http://h/a#b#c",
                                          "http://[]/",
                                          "http://h/\\",
                                          "a:[b]"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        CHECK(ev_format_date_time(guard_copy(&page, times[i], strlen(times[i])), strlen(times[i])));
    for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++)
        CHECK(!ev_format_date_time(guard_copy(&page, no_times[i], strlen(no_times[i])), strlen(no_times[i])));
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
        CHECK(ev_format_uri(guard_copy(&page, uris[i], strlen(uris[i])), strlen(uris[i])));
    for (size_t i = 0; i < sizeof no_uris / sizeof *no_uris; i++)
        CHECK(!ev_format_uri(guard_copy(&page, no_uris[i], strlen(no_uris[i])), strlen(no_uris[i])));
}

int main(void) {
    page = guard_open(8192);
    root = sample_schema(&schema);
    CHECK(schema.hint_count <= sizeof hints);
    each_rule_is_held();
    the_first_violation_in_the_text_is_the_one_told();
    texts_count_in_code_points_and_words_by_what_they_mean();
    a_name_that_is_there_twice_is_told();
    a_format_is_judged_where_it_is_asked_for();
    the_tape_tells_what_is_there();
    limits_end_the_pass();
    half_a_payload_is_never_one();
    each_format_is_its_specification();
    ev_schema_close(&schema);
    CHECK_DONE();
}
