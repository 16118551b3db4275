/* Any bytes as an OCPP-J message: no over-read, spans that lie in the message, the verdict of a slow and simple twin on
 * what is JSON, and a message put together from the parts found that scans to the same parts. */
#include "evcore/json.h"
#include "evcore/ocpp.h"
#include "twin_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int condition) {
    if (!condition) abort();
}

static size_t append(uint8_t *out, size_t at, const void *bytes, size_t len) {
    if (len > 0) memcpy(out + at, bytes, len);
    return at + len;
}

/* [type,id,(action | code,description),payload] without spaces. */
static size_t rebuild(uint8_t *out, const uint8_t *data, const ev_ocpp_frame *frame) {
    const ev_span parts[] = {frame->id, frame->action, frame->code, frame->description, frame->payload};
    char head[16];
    size_t len = append(out, 0, head, (size_t)snprintf(head, sizeof head, "[%u", frame->type));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].len == 0) continue;
        len = append(out, len, ",", 1);
        len = append(out, len, data + parts[i].at, parts[i].len);
    }
    return append(out, len, "]", 1);
}

static void check_text(const uint8_t *data, ev_span span, size_t max) {
    if (span.len == 0) return;
    uint8_t *text = malloc(span.len);
    must(text != NULL);
    size_t len = 0;
    const size_t points = ev_json_text(data + span.at, span.len, text, &len);
    must(points <= len && len <= span.len - 2 && (max == 0 || (points >= 1 && points <= max)));
    free(text);
}

static void check_frame(const uint8_t *data, size_t size, const ev_ocpp_rules *rules, const ev_ocpp_frame *frame) {
    const ev_span parts[] = {frame->id, frame->action, frame->code, frame->description, frame->payload};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        must(parts[i].at <= size && parts[i].len <= size - parts[i].at);
    check_text(data, frame->id, EV_OCPP_ID_MAX);
    check_text(data, frame->action, EV_OCPP_ACTION_MAX);
    check_text(data, frame->description, 0);
    size_t at = frame->payload.at;
    must(ev_json_skip(data, size, rules->max_depth - 1, &at) == EV_JSON_OK);
    must(at == frame->payload.at + frame->payload.len);

    uint8_t *again = malloc(size + 16);
    must(again != NULL);
    const size_t len = rebuild(again, data, frame);
    ev_ocpp_frame second;
    must(len <= size && ev_ocpp_scan(again, len, rules, &second, &at) == EV_OCPP_OK && second.type == frame->type);
    must(second.payload.len == frame->payload.len && second.id.len == frame->id.len);
    must(memcmp(again + second.payload.at, data + frame->payload.at, frame->payload.len) == 0);
    free(again);
}

/* The quick way in must come to the same parts and the same verdict as the whole scan. */
static void check_open(const uint8_t *data, size_t size, const ev_ocpp_rules *rules, ev_ocpp_status scanned,
                       const ev_ocpp_frame *frame) {
    ev_ocpp_frame parts;
    size_t nodes, at;
    if (ev_ocpp_open(data, size, rules, &parts, &nodes, &at) != EV_OCPP_OK) return;
    const size_t start = at;
    const ev_json_status status = ev_json_walk(data, size, rules->max_depth - 1, &nodes, NULL, EV_TAPE_NO_KEY, &at);
    const int whole = status == EV_JSON_OK && ev_ocpp_closed(data, size, at);
    must(whole == (scanned == EV_OCPP_OK));
    if (!whole) return;
    must(parts.type == frame->type && parts.id.at == frame->id.at && parts.id.len == frame->id.len);
    must(parts.action.at == frame->action.at && parts.action.len == frame->action.len);
    must(start == frame->payload.at && at == start + frame->payload.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const ev_ocpp_rules rules = {65536, 65536, 32, 0x7C};
    ev_ocpp_frame frame;
    size_t at = SIZE_MAX;
    const ev_ocpp_status status = ev_ocpp_scan(data, size, &rules, &frame, &at);
    must(at <= size && strcmp(ev_ocpp_reason(status), "unknown") != 0);
    must((frame.type == 0 || (frame.type >= 2 && frame.type <= 6)) && frame.id.at + frame.id.len <= size);
    if (status == EV_OCPP_OK) check_frame(data, size, &rules, &frame);
    check_open(data, size, &rules, status, &frame);
    if (status == EV_OCPP_JSON || status == EV_OCPP_UTF8 || status == EV_OCPP_INFINITE)
        must(!twin_is_json(data, size));
    else if (status != EV_OCPP_SIZE && status != EV_OCPP_DEPTH && status != EV_OCPP_NODES && status != EV_OCPP_INT64)
        must(twin_is_json(data, size));
    return 0;
}
