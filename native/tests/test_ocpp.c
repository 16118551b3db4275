#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "check.h"
#include "evcore/json.h"
#include "evcore/ocpp.h"
#include "guard.h"
#include <stdbool.h>
#include <stdio.h>

static guarded page;
static ev_ocpp_frame frame;
static const ev_ocpp_rules all_types = {65536, 65536, 32, 0x7C}, types_of_16 = {65536, 65536, 32, 0x1C};

static bool is_text(const char *text, ev_span span, const char *expected) {
    return span.len == strlen(expected) && memcmp(text + span.at, expected, span.len) == 0;
}

static bool accepts(const char *text) {
    size_t at;
    const size_t len = strlen(text);
    return ev_ocpp_scan(guard_copy(&page, text, len), len, &all_types, &frame, &at) == EV_OCPP_OK;
}

static bool refuses_by(const ev_ocpp_rules *rules, const char *text, ev_ocpp_status status, size_t where) {
    size_t at;
    const size_t len = strlen(text);
    const ev_ocpp_status got = ev_ocpp_scan(guard_copy(&page, text, len), len, rules, &frame, &at);
    if (got != status || at != where) fprintf(stderr, "%s: %s at %zu\n", text, ev_ocpp_reason(got), at);
    return got == status && at == where;
}

static bool refuses(const char *text, ev_ocpp_status status, size_t where) {
    return refuses_by(&all_types, text, status, where);
}

static void each_type_has_its_parts(void) {
    const char call[] = " [ 2 ,\t\"a-1\" , \"Heartbeat\",\r\n{\"x\": [1]} ] ";
    CHECK(accepts(call));
    CHECK(frame.type == EV_OCPP_CALL && is_text(call, frame.id, "\"a-1\""));
    CHECK(is_text(call, frame.action, "\"Heartbeat\"") && is_text(call, frame.payload, "{\"x\": [1]}"));
    CHECK(frame.code.len == 0 && frame.description.len == 0);

    const char result[] = "[3,\"1\",null]";
    CHECK(accepts(result));
    CHECK(frame.type == EV_OCPP_CALLRESULT && frame.action.len == 0 && is_text(result, frame.payload, "null"));

    const char error[] = "[4,\"1\",\"GenericError\",\"\",{\"why\":1}]";
    CHECK(accepts(error));
    CHECK(frame.type == EV_OCPP_CALLERROR && is_text(error, frame.code, "\"GenericError\""));
    CHECK(is_text(error, frame.description, "\"\"") && is_text(error, frame.payload, "{\"why\":1}"));

    CHECK(accepts("[5,\"1\",\"FormatViolation\",\"x\",{}]") && frame.type == EV_OCPP_CALLRESULTERROR);
    CHECK(accepts("[6,\"1\",\"NotifyPeriodicEventStream\",{}]") && frame.type == EV_OCPP_SEND && frame.action.len > 0);
}

static void a_type_is_one_bare_digit_that_the_version_knows(void) {
    const char *const bad[] = {"2.0", "2e0", "20", "-2", "\"2\"", "true", "null", "[2]", "{}", "1", "7", "0", "9"};
    char text[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "[%s,\"1\",\"Heartbeat\",{}]", bad[i]);
        CHECK(refuses(text, EV_OCPP_TYPE, 1));
        CHECK(frame.type == 0 && frame.id.len == 3); /* the id can still be answered */
    }
    CHECK(refuses_by(&types_of_16, "[6,\"1\",\"X\",{}]", EV_OCPP_TYPE, 1));
    CHECK(refuses_by(&types_of_16, "[5,\"1\",\"X\",\"\",{}]", EV_OCPP_TYPE, 1));
}

static void an_id_is_a_string_of_1_to_36_code_points(void) {
    CHECK(refuses("[2,1,\"Heartbeat\",{}]", EV_OCPP_IDTYPE, 3));
    CHECK(frame.type == EV_OCPP_CALL && frame.id.len == 0);
    CHECK(refuses("[3,null,{}]", EV_OCPP_IDTYPE, 3));
    CHECK(refuses("[3,\"\",{}]", EV_OCPP_LENGTH, 3));
    CHECK(accepts("[3,\"123456789012345678901234567890123456\",{}]"));
    CHECK(refuses("[3,\"1234567890123456789012345678901234567\",{}]", EV_OCPP_LENGTH, 3) && frame.id.len == 0);
    CHECK(accepts("[3,\"12345678901234567890123456789012345\\u0036\",{}]"));
    CHECK(accepts("[3,\"12345678901234567890123456789012345\\uD83D\\uDE00\",{}]"));
    CHECK(accepts("[3,\"12345678901234567890123456789012345\xf0\x9f\x98\x80\",{}]"));
    CHECK(accepts("[3,\"\\u0000\",{}]"));
}

static void each_type_has_its_number_of_elements(void) {
    CHECK(refuses("[]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[2]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[2,\"1\"]", EV_OCPP_ARITY, 0) && frame.id.len == 3);
    CHECK(refuses("[2,\"1\",\"Heartbeat\"]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[2,\"1\",\"Heartbeat\",{},{}]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[3,\"1\"]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[3,\"1\",\"Heartbeat\",{}]", EV_OCPP_ARITY, 0));
    CHECK(refuses("[4,\"1\",\"GenericError\",\"\"]", EV_OCPP_ARITY, 0) && frame.type == 4 && frame.id.len == 3);
    CHECK(refuses(" [4,\"1\",\"GenericError\",\"\",{},1,2,3,4,5,6,7,8]", EV_OCPP_ARITY, 1));
    CHECK(refuses("[6,\"1\",\"Heartbeat\"]", EV_OCPP_ARITY, 0));
}

static void parts_of_the_wrong_kind_are_refused(void) {
    CHECK(refuses("[2,\"1\",5,{}]", EV_OCPP_ACTION, 7));
    CHECK(refuses("[2,\"1\",\"\",{}]", EV_OCPP_LENGTH, 7));
    char text[128];
    for (size_t length = 64; length <= 65; length++) {
        char action[66];
        memset(action, 'A', length);
        action[length] = 0;
        snprintf(text, sizeof text, "[2,\"1\",\"%s\",{}]", action);
        CHECK(length == 64 ? accepts(text) : refuses(text, EV_OCPP_LENGTH, 7));
    }
    CHECK(refuses("[2,\"1\",\"X\",[]]", EV_OCPP_PAYLOAD, 11));
    CHECK(refuses("[2,\"1\",\"X\",\"\"]", EV_OCPP_PAYLOAD, 11));
    CHECK(refuses("[3,\"1\",false]", EV_OCPP_PAYLOAD, 7));
    CHECK(refuses("[4,\"1\",null,\"\",{}]", EV_OCPP_ERROR, 7));
    CHECK(refuses("[4,\"1\",\"GenericError\",null,{}]", EV_OCPP_ERROR, 22));
    CHECK(refuses("[4,\"1\",\"GenericError\",\"\",null]", EV_OCPP_ERROR, 25));
}

static void what_is_no_json_is_said_to_be_none_before_anything_else(void) {
    CHECK(refuses("", EV_OCPP_JSON, 0));
    CHECK(refuses("  ", EV_OCPP_JSON, 2));
    CHECK(refuses("[9,\"1\"", EV_OCPP_JSON, 6));
    CHECK(refuses("[2,\"1\",\"Heartbeat\",{}", EV_OCPP_JSON, 21) && frame.type == 2 && frame.id.len == 3);
    CHECK(refuses("[2,\"1\",\"Heartbeat\",{\"a\":tru}]", EV_OCPP_JSON, 27) && frame.id.len == 3);
    CHECK(refuses("[3,\"1\",{}][3,\"1\",{}]", EV_OCPP_JSON, 10));
    CHECK(refuses("[3,\"1\",{},]", EV_OCPP_JSON, 10));
    CHECK(refuses("\xef\xbb\xbf[3,\"1\",{}]", EV_OCPP_JSON, 0));
    CHECK(refuses("[3,\"1\",{\"a\":\"\xe4\"}]", EV_OCPP_UTF8, 13));
    CHECK(refuses("[3,\"1\",{\"a\":1e400}]", EV_OCPP_INFINITE, 12));
    CHECK(refuses("[3,\"1\",{\"a\":9223372036854775808}]", EV_OCPP_INT64, 12));
    CHECK(refuses("{\"a\":1}", EV_OCPP_ARRAY, 0));
    CHECK(refuses(" 5", EV_OCPP_ARRAY, 1));
    size_t at;
    CHECK(ev_ocpp_scan((const uint8_t *)"[3,\"1\",{}]\0", 11, &all_types, &frame, &at) == EV_OCPP_JSON && at == 10);
    CHECK(ev_ocpp_scan(NULL, 0, &all_types, &frame, &at) == EV_OCPP_JSON);
}

static void size_and_depth_are_limited(void) {
    ev_ocpp_rules rules = {10, 100, 2, 0x7C};
    size_t at;
    CHECK(ev_ocpp_scan((const uint8_t *)"[3,\"1\",{}]", 10, &rules, &frame, &at) == EV_OCPP_OK);
    CHECK(ev_ocpp_scan((const uint8_t *)"[3,\"1\",{}] ", 11, &rules, &frame, &at) == EV_OCPP_SIZE);
    rules = (ev_ocpp_rules){100, 100, 2, 0x7C};
    CHECK(refuses_by(&rules, "[3,\"1\",{\"a\":[]}]", EV_OCPP_DEPTH, 12) && frame.id.len == 3);
    rules.max_depth = 3;
    CHECK(!refuses_by(&rules, "[3,\"1\",{\"a\":[]}]", EV_OCPP_DEPTH, 12));
    rules.max_depth = 0;
    CHECK(refuses_by(&rules, "[3,\"1\",{}]", EV_OCPP_DEPTH, 0));

    static char text[4096]; /* 1024 open brackets pass, 1025 do not, whatever is asked for: as orjson */
    rules = (ev_ocpp_rules){sizeof text, sizeof text, 5000, 0x7C};
    for (size_t inner = EV_JSON_DEPTH_MAX - 2; inner <= EV_JSON_DEPTH_MAX - 1; inner++) {
        const size_t head = (size_t)snprintf(text, sizeof text, "[3,\"1\",{\"a\":");
        memset(text + head, '[', inner);
        memset(text + head + inner, ']', inner);
        memcpy(text + head + 2 * inner, "}]", 2);
        CHECK(ev_ocpp_scan((const uint8_t *)text, head + 2 * inner + 2, &rules, &frame, &at) ==
              (inner == EV_JSON_DEPTH_MAX - 2 ? EV_OCPP_OK : EV_OCPP_DEPTH));
    }
}

/* A frame cut anywhere, before a page that may not be read: never whole, never read past its end. */
static void half_a_frame_is_never_a_frame(void) {
    const char text[] =
        "[2,\"a\\u0031\",\"MeterValues\",{\"connectorId\":1,\"meterValue\":[{\"timestamp\":"
        "\"2026-11-23T18:00:00Z\",\"sampledValue\":[{\"value\":\"1.5\"},{\"value\":\"\xc3\xa9\\ud83d\\ude00\"}"
        "]}],\"x\":[-1.25e-3,true,false,null,0]}]";
    CHECK(accepts(text));
    for (size_t len = 0; len < sizeof text - 1; len++) {
        size_t at = SIZE_MAX;
        const ev_ocpp_status status = ev_ocpp_scan(guard_copy(&page, text, len), len, &all_types, &frame, &at);
        CHECK(status == EV_OCPP_JSON || status == EV_OCPP_UTF8);
        CHECK(at <= len);
    }
}

/* The quick way in takes what most frames are, and leaves all else to the scan. */
static void a_frame_is_opened_at_its_payload(void) {
    const char call[] = " [ 2 ,\"a-1\" , \"Heartbeat\",\r\n{\"x\": [1]} ] ";
    size_t nodes, at, len = sizeof call - 1;
    const uint8_t *data = guard_copy(&page, call, len);
    CHECK(ev_ocpp_open(data, len, &all_types, &frame, &nodes, &at) == EV_OCPP_OK && call[at] == '{');
    CHECK(frame.type == 2 && is_text(call, frame.id, "\"a-1\"") && is_text(call, frame.action, "\"Heartbeat\""));
    CHECK(nodes == 65536 - 4 && !ev_ocpp_closed(data, len, at) && ev_ocpp_closed(data, len, at + 10));
    for (size_t cut = 0; cut < len; cut++) {
        data = guard_copy(&page, call, cut);
        if (ev_ocpp_open(data, cut, &all_types, &frame, &nodes, &at) == EV_OCPP_OK) CHECK(at < cut && call[at] == '{');
        CHECK(!ev_ocpp_closed(data, cut, cut < 36 ? cut : 36) || cut > 36);
    }
    static const char *const odd[] = {"",         "{}",         "[4,\"1\",\"E\",\"\",{}]", "[2,\"\\u0031\",\"X\",{}]",
                                      "[2,\"\"",  "[2,1,\"X\"", "[2,\"1\",\"\",{}]",       "[2,\"1\",\"X\",[]]",
                                      "[7,\"1\"", "[22,\"1\"",  "[2.0,\"1\",\"X\",{}]",    "[2,\"\xc3\xa9\",\"X\",{}]"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        data = guard_copy(&page, odd[i], strlen(odd[i]));
        CHECK(ev_ocpp_open(data, strlen(odd[i]), &all_types, &frame, &nodes, &at) != EV_OCPP_OK);
    }
}

static void values_are_limited(void) {
    ev_ocpp_rules rules = {100, 6, 32, 0x7C};
    CHECK(!refuses_by(&rules, "[3,\"1\",{\"a\":[1]}]", EV_OCPP_NODES, 0));
    CHECK(refuses_by(&rules, "[3,\"1\",{\"a\":[1,2]}]", EV_OCPP_NODES, 15) && frame.id.len == 3);
}

static void every_status_has_a_word(void) {
    for (int i = EV_OCPP_OK; i <= EV_OCPP_ERROR; i++)
        CHECK(strcmp(ev_ocpp_reason((ev_ocpp_status)i), "unknown") != 0);
    CHECK(strcmp(ev_ocpp_reason(EV_OCPP_JSON), "json") == 0 && strcmp(ev_ocpp_reason(EV_OCPP_ERROR), "error") == 0);
    CHECK(strcmp(ev_ocpp_reason((ev_ocpp_status)99), "unknown") == 0);
}

int main(void) {
    page = guard_open(4096);
    each_type_has_its_parts();
    a_type_is_one_bare_digit_that_the_version_knows();
    an_id_is_a_string_of_1_to_36_code_points();
    each_type_has_its_number_of_elements();
    parts_of_the_wrong_kind_are_refused();
    what_is_no_json_is_said_to_be_none_before_anything_else();
    size_and_depth_are_limited();
    half_a_frame_is_never_a_frame();
    a_frame_is_opened_at_its_payload();
    values_are_limited();
    every_status_has_a_word();
    CHECK_DONE();
}
