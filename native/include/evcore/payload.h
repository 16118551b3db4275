/* One pass over the payload of a message: is it JSON, what does its schema say, and (as a tape) what is in it.
 *
 * Bytes that equal a name of the schema need no look of their own; all others are judged as in json.h. A violation does
 * not end the pass: what follows must still be JSON, and the tape is whole. Nothing is allocated. Thread-safe as long
 * as nobody adds to the schema and each thread has its own hints. */
#ifndef EVCORE_PAYLOAD_H
#define EVCORE_PAYLOAD_H

#include "evcore/json.h"
#include "evcore/schema.h"

typedef enum {
    EV_RULE_NONE,
    EV_RULE_TYPE,
    EV_RULE_ENUM,
    EV_RULE_MAX_LENGTH,
    EV_RULE_MIN_LENGTH,
    EV_RULE_FORMAT,
    EV_RULE_MINIMUM,
    EV_RULE_MAXIMUM,
    EV_RULE_MULTIPLE_OF,
    EV_RULE_MIN_ITEMS,
    EV_RULE_MAX_ITEMS,
    EV_RULE_REQUIRED,   /* at: the object */
    EV_RULE_ADDITIONAL, /* at: the name of the member */
} ev_rule;

typedef struct {
    ev_rule rule;
    uint32_t node;   /* that was broken */
    uint32_t member; /* REQUIRED: the first that is missing, as an index among all members */
    size_t at;       /* first byte of the value, see the rules */
    size_t count;    /* MIN_ and MAX_ITEMS: the items that are there */
} ev_violation;

typedef struct {
    const ev_schema *schema;
    uint8_t *hints; /* schema->hint_count bytes, zero at first; what the last message looked like. NULL: none */
    /* The nearest double of a number that ev_json_real declines; text is not terminated. */
    double (*real)(const uint8_t *text, size_t len);
    unsigned depth; /* containers that may be open at once in the payload, itself included */
    bool formats;   /* judge date-time and uri too */
} ev_payload_rules;

typedef struct {
    ev_violation first; /* rule NONE: the payload is as its schema says */
    bool repeated;      /* an object has a member of its schema twice: with a violation, the verdict may be another */
} ev_payload_result;

/* Reads the value that begins at data[*at] by node `root`. A payload of null counts as an empty object (OCPP-J 1.6,
 * 4.2.1). nodes, tape, *at, status: as ev_json_walk. */
ev_json_status ev_payload_read(const uint8_t *data, size_t len, uint32_t root, const ev_payload_rules *rules,
                               size_t *nodes, ev_tape **tape, size_t *at, ev_payload_result *result);

/* RFC 3339, 5.6: a date-time of the proleptic Gregorian calendar, seconds to 60 where a leap second can be. */
bool ev_format_date_time(const uint8_t *text, size_t len);
/* RFC 3986, 3: a URI with its scheme, not a relative reference. */
bool ev_format_uri(const uint8_t *text, size_t len);

#endif
