/* One OCPP-J message: finds its parts in a whole WebSocket message and checks every byte of it on the way.
 * Sources: OCPP-J 1.6, 4.2; OCPP 2.0.1 Part 4, 4.2; OCPP 2.1 Part 4, 4.2 (types 5 and 6). JSON as in json.h.
 * Nothing is allocated; spans are offsets into the caller's bytes. Thread-safe. */
#ifndef EVCORE_OCPP_H
#define EVCORE_OCPP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EV_OCPP_CALL = 2,            /* [2, id, action, payload] */
    EV_OCPP_CALLRESULT = 3,      /* [3, id, payload] */
    EV_OCPP_CALLERROR = 4,       /* [4, id, code, description, details] */
    EV_OCPP_CALLRESULTERROR = 5, /* [5, id, code, description, details] */
    EV_OCPP_SEND = 6,            /* [6, id, action, payload] */
};

enum {
    EV_OCPP_ID_MAX = 36,     /* code points: OCPP-J 1.6, 4.1.4 */
    EV_OCPP_ACTION_MAX = 64, /* code points; the longest action of 2.1 has 33, signed ones end in "-Signed" */
};

/* The first four say that the bytes are not JSON; the others are rules of OCPP-J or our own limits. JSON comes first: a
 * frame is blamed for its parts only if it is JSON from end to end. */
typedef enum {
    EV_OCPP_OK,
    EV_OCPP_JSON,     /* not one JSON document */
    EV_OCPP_UTF8,     /* see json.h */
    EV_OCPP_INFINITE, /* see json.h */
    EV_OCPP_SIZE,     /* longer than rules.max_size */
    EV_OCPP_DEPTH,    /* nested deeper than rules.max_depth */
    EV_OCPP_NODES,    /* more values than rules.max_nodes */
    EV_OCPP_INT64,    /* an integer outside int64 */
    EV_OCPP_ARRAY,    /* not an array */
    EV_OCPP_TYPE,     /* the first element is none of the type numbers in rules.types, written as one bare digit */
    EV_OCPP_IDTYPE,   /* the id is not a string */
    EV_OCPP_LENGTH,   /* the id is empty or too long, or the action is */
    EV_OCPP_ARITY,    /* too few or too many elements for the type */
    EV_OCPP_ACTION,   /* the action is not a string */
    EV_OCPP_PAYLOAD,  /* the payload is neither an object nor null */
    EV_OCPP_ERROR,    /* the parts of a CALLERROR: code and description are strings, details an object */
} ev_ocpp_status;

typedef struct {
    size_t max_size;    /* bytes */
    size_t max_nodes;   /* values, the frame's own array and its elements included */
    unsigned max_depth; /* open containers, the frame's own array included; EV_JSON_DEPTH_MAX at most */
    unsigned types;     /* bit t set: type t is known */
} ev_ocpp_rules;

typedef struct {
    size_t at, len; /* len 0: not there */
} ev_span;

typedef struct {
    unsigned type;             /* 0 where unreadable */
    ev_span id;                /* with its quotes, escapes as received: ev_json_text */
    ev_span action;            /* CALL, SEND: with its quotes */
    ev_span code, description; /* CALLERROR, CALLRESULTERROR: with their quotes */
    ev_span payload;           /* the payload, or the details of an error */
} ev_ocpp_frame;

/* Reads data[0..len) only; data may be NULL if len is 0. OK: everything in *frame that the type has. Otherwise type and
 * id are set where they could still be read, and *at (<= len) is where it goes wrong. */
ev_ocpp_status ev_ocpp_scan(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                            size_t *at);

/* Type, id and (CALL, SEND) action of a frame that begins as most do; *at: the first byte of its payload, an object or
 * null, of which nothing is read yet; *nodes: the values that it may still hold. OK: with a payload that is JSON and
 * ev_ocpp_closed after it, ev_ocpp_scan accepts the frame too. Anything else (a CALLERROR, an id with escapes, what is
 * no frame): not OK, and ev_ocpp_scan has to say. */
ev_ocpp_status ev_ocpp_open(const uint8_t *data, size_t len, const ev_ocpp_rules *rules, ev_ocpp_frame *frame,
                            size_t *nodes, size_t *at);

/* Is there nothing after data[at] but the frame's closing bracket and space? */
bool ev_ocpp_closed(const uint8_t *data, size_t len, size_t at);

/* A short, stable word for a status: "json", "utf8", ... SIZE, DEPTH and NODES are all "limit". */
const char *ev_ocpp_reason(ev_ocpp_status status);

#endif
