/* A bad line, simulated: usage test_modbus_line [frames [seed]]. Random requests, their right replies, and what the
 * line makes of them, in random pieces into ev_modbus_rtu_find, held against the finder in ../fuzz/twin_modbus.h that
 * shares nothing with it. The run fails where they differ, where a reply that is whole on the line is not delivered, as
 * soon as its last byte is there (of fixed length) or at the end (others), or where a frame with 1-3 flipped bits or
 * one burst of up to 16 bits passes the check. What a CRC of 16 bits cannot see is counted and printed. TCP likewise.
 */
#include "../fuzz/twin_modbus.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint8_t unit, pdu[EV_MODBUS_PDU_MAX];
    size_t len;
} request_t;

typedef struct {
    uint8_t data[2048];
    size_t len;
} line_t;

static uint64_t state, begun;

static uint64_t chance(void) { /* splitmix64, Steele and others 2014 */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t upto(size_t n) { /* 0..n-1 */
    return (size_t)(chance() >> 32) % n;
}

static void fail(const char *why, const request_t *q, const line_t *line) {
    printf("%s; the state before was %" PRIu64 "\nunit %u, request", why, begun, q->unit);
    for (size_t i = 0; i < q->len; i++)
        printf(" %02X", q->pdu[i]);
    printf("\nline");
    for (size_t i = 0; i < line->len; i++)
        printf(" %02X", line->data[i]);
    printf("\n");
    exit(1);
}

static void word(uint8_t *p, size_t value) {
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* A byte of data; often one that makes it look like the frame of a reply. */
static uint8_t byte(const request_t *q) {
    const uint8_t likely[] = {q->unit, q->pdu[0], (uint8_t)(q->pdu[0] | 0x80), 2, 4, 0, 0, 0xFF};
    return upto(4) == 0 ? likely[upto(8)] : (uint8_t)chance();
}

static void fill(uint8_t *p, size_t n, const request_t *q) {
    for (size_t i = 0; i < n; i++)
        p[i] = byte(q);
}

/* Short mostly, as requests are. */
static size_t items(size_t most) {
    return 1 + upto(upto(8) == 0 ? most : most < 12 ? most : 12);
}

static void make_request(request_t *q) {
    static const uint8_t functions[] = {1,  2,  3,  3,  3,  3,  3,  4,  4,  4,  4,  5,  6,  7, 8,
                                        11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 65, 66, 67};
    uint8_t *p = q->pdu;
    q->unit = (uint8_t)(upto(2) == 0 ? 1 + upto(5) : 1 + upto(247));
    p[0] = functions[upto(sizeof functions)];
    word(p + 1, upto(30000));
    q->len = 5;
    size_t n;
    switch (p[0]) {
    case 1:
    case 2:
        word(p + 3, items(2000));
        break;
    case 3:
    case 4:
        word(p + 3, items(125));
        break;
    case 5:
        word(p + 3, upto(2) == 0 ? 0 : 0xFF00);
        break;
    case 6:
        word(p + 3, upto(65536));
        break;
    case 8:
        word(p + 1, upto(2) == 0 ? 0 : 11 + upto(8));
        word(p + 3, p[2] ? 0 : upto(65536));
        break;
    case 15:
        word(p + 3, n = items(1968));
        p[5] = (uint8_t)((n + 7) / 8);
        fill(p + 6, p[5], q);
        q->len = 6u + p[5];
        break;
    case 16:
        word(p + 3, n = items(123));
        p[5] = (uint8_t)(2 * n);
        fill(p + 6, p[5], q);
        q->len = 6u + p[5];
        break;
    case 20: {
        const size_t groups = items(3);
        for (size_t i = 0; i < groups; i++) {
            p[2 + 7 * i] = 6;
            word(p + 3 + 7 * i, 1 + upto(9));
            word(p + 5 + 7 * i, upto(9000));
            word(p + 7 + 7 * i, items(20));
        }
        p[1] = (uint8_t)(7 * groups);
        q->len = 2u + p[1];
        break;
    }
    case 21:
        p[2] = 6;
        word(p + 3, 1 + upto(9));
        word(p + 5, upto(9000));
        word(p + 7, n = items(100));
        fill(p + 9, 2 * n, q);
        p[1] = (uint8_t)(7 + 2 * n);
        q->len = 2u + p[1];
        break;
    case 22:
        fill(p + 3, 4, q);
        q->len = 7;
        break;
    case 23:
        word(p + 3, items(125));
        word(p + 5, upto(30000));
        word(p + 7, n = items(121));
        p[9] = (uint8_t)(2 * n);
        fill(p + 10, p[9], q);
        q->len = 10u + p[9];
        break;
    case 24:
        q->len = 3;
        break;
    case 43:
        p[1] = 14;
        p[2] = (uint8_t)(1 + upto(4));
        p[3] = (uint8_t)upto(p[2] == 1 ? 3 : p[2] == 2 ? 128 : 256);
        q->len = 4;
        break;
    case 66:
    case 67:
        break;
    default: /* 7, 11, 12, 17, 65 */
        q->len = 1;
    }
}

static size_t make_objects(uint8_t *p, const request_t *q) {
    const unsigned last = q->pdu[2] == 1   ? 2
                          : q->pdu[2] == 2 ? 127
                                           : 255,
                   objects = q->pdu[2] == 4 ? 1 : 1 + (unsigned)upto(4);
    unsigned id = q->pdu[3];
    size_t at = 7;
    memcpy(p, q->pdu, 3);
    p[3] = (uint8_t)(1 + upto(3) + (upto(2) ? 0x80 : 0));
    for (p[6] = 0; p[6] < objects && id <= last; p[6]++, id += 1 + (unsigned)upto(3)) {
        p[at] = (uint8_t)id;
        p[at + 1] = (uint8_t)upto(20);
        fill(p + at + 2, p[at + 1], q);
        p[5] = p[at];
        at += 2u + p[at + 1];
    }
    const bool more = q->pdu[2] != 4 && p[5] < 255 && upto(3) == 0;
    p[4] = more ? 0xFF : 0;
    p[5] = (uint8_t)(more ? p[5] + 1 : 0);
    return at;
}

/* A right reply, as its PDU. */
static size_t make_good(uint8_t *p, const request_t *q) {
    const uint8_t *r = q->pdu;
    size_t n = 0;
    p[0] = r[0];
    switch (r[0]) {
    case 1:
    case 2:
        n = (twin_word(r + 3) + 7) / 8;
        break;
    case 3:
    case 4:
    case 23:
        n = 2 * twin_word(r + 3);
        break;
    case 5:
    case 6:
    case 15:
    case 16:
        memcpy(p, r, 5);
        return 5;
    case 7:
        p[1] = byte(q);
        return 2;
    case 8:
        memcpy(p, r, 5);
        if (r[2]) fill(p + 3, 2, q);
        return 5;
    case 11:
        fill(p + 1, 4, q);
        return 5;
    case 12:
        n = 6 + upto(65);
        break;
    case 17:
        n = items(200);
        break;
    case 20: {
        size_t at = 2;
        for (const uint8_t *group = r + 2; group < r + q->len; group += 7) {
            const size_t bytes = 2 * (size_t)twin_word(group + 5);
            p[at] = (uint8_t)(bytes + 1);
            p[at + 1] = 6;
            fill(p + at + 2, bytes, q);
            at += 2 + bytes;
        }
        p[1] = (uint8_t)(at - 2);
        return at;
    }
    case 24:
        n = upto(32);
        word(p + 1, 2 + 2 * n);
        word(p + 3, n);
        fill(p + 5, 2 * n, q);
        return 5 + 2 * n;
    case 43:
        return make_objects(p, q);
    case 65:
        fill(p + 1, 3, q);
        return 4;
    case 66:
        fill(p + 1, 2, q);
        p[3] = (uint8_t)items(200);
        fill(p + 4, p[3], q);
        return 4u + p[3];
    case 67:
        memcpy(p, r, 3);
        return 3;
    default: /* 21, 22 */
        memcpy(p, r, q->len);
        return q->len;
    }
    p[1] = (uint8_t)n;
    fill(p + 2, n, q);
    return 2 + n;
}

/* A reply of this request, good mostly, as a frame. */
static size_t make_reply(uint8_t *frame, const request_t *q) {
    size_t len = 3;
    frame[0] = q->unit;
    if (upto(10) == 0) {
        frame[1] = (uint8_t)(q->pdu[0] | 0x80);
        frame[2] = (uint8_t)(1 + upto(11));
    } else
        len = 1 + make_good(frame + 1, q);
    const unsigned crc = twin_crc(frame, len);
    frame[len] = (uint8_t)crc;
    frame[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static void append(line_t *line, const uint8_t *data, size_t len) {
    memcpy(line->data + line->len, data, len);
    line->len += len;
}

/* The right answer to another question, CRC and all: of another unit, function, address or count. */
static void stale(line_t *line, const request_t *q) {
    request_t other;
    do {
        make_request(&other);
        if (upto(2) == 0) other.unit = q->unit;
    } while (other.unit == q->unit && other.len == q->len && memcmp(other.pdu, q->pdu, q->len) == 0);
    line->len += make_reply(line->data + line->len, &other);
}

static void garbage(line_t *line, const request_t *q) {
    uint8_t frame[EV_MODBUS_RTU_MAX];
    const size_t len = make_reply(frame, q), n = 1 + upto(12);
    switch (upto(6)) {
    case 0: /* the beginning of a reply, or all but its beginning */
        append(line, frame, upto(len));
        break;
    case 1: {
        const size_t lost = 1 + upto(len - 1);
        append(line, frame + lost, len - lost);
        break;
    }
    case 2: /* what a line without a signal gives */
        memset(line->data + line->len, upto(2) ? 0xFF : 0, n);
        line->len += n;
        break;
    case 3: { /* the adapter's echo of the request; where the reply is that too, there is nothing to tell them apart by
               */
        frame[0] = q->unit;
        memcpy(frame + 1, q->pdu, q->len);
        const unsigned crc = twin_crc(frame, 1 + q->len);
        frame[1 + q->len] = (uint8_t)crc;
        frame[2 + q->len] = (uint8_t)(crc >> 8);
        if (!twin_is_reply(frame, 3 + q->len, q->unit, q->pdu, q->len)) append(line, frame, 3 + q->len);
        break;
    }
    case 4:
        stale(line, q);
        break;
    default:
        fill(line->data + line->len, n, q);
        line->len += n;
    }
}

/* In the order of the wire: the lowest bit of a byte first. */
static void flip(uint8_t *data, size_t bit) {
    data[bit / 8] = (uint8_t)(data[bit / 8] ^ 1u << bit % 8);
}

static void burst(uint8_t *data, size_t len, size_t width) {
    const size_t at = upto(8 * len - width + 1);
    for (size_t i = 0; i < width; i++)
        if (i == 0 || i == width - 1 || upto(2)) flip(data, at + i);
}

static void damage_little(line_t *line) {
    if (upto(2)) {
        burst(line->data, line->len, 1 + upto(16));
        return;
    }
    size_t bits[3];
    const size_t n = 1 + upto(3);
    for (size_t i = 0; i < n; i++) {
        do
            bits[i] = upto(8 * line->len);
        while ((i > 0 && bits[i] == bits[0]) || (i > 1 && bits[i] == bits[1]));
        flip(line->data, bits[i]);
    }
}

static void damage_much(line_t *line) {
    for (size_t n = 1 + upto(3); n > 0 && line->len > 2; n--) {
        const size_t at = upto(line->len), width = 17 + upto(40);
        switch (upto(5)) {
        case 0:
            if (width < 8 * line->len) burst(line->data, line->len, width);
            break;
        case 1:
            for (size_t i = 4 + upto(12); i > 0; i--)
                flip(line->data, upto(8 * line->len));
            break;
        case 2:
            memmove(line->data + at + 1, line->data + at, line->len++ - at);
            line->data[at] = (uint8_t)chance();
            break;
        case 3:
            memmove(line->data + at, line->data + at + 1, --line->len - at);
            break;
        default:
            line->len = at + 1;
        }
    }
}

typedef struct {
    int found; /* as twin_find */
    size_t from, end;
} heard_t;

/* The line in pieces into the finder, and all of it into the other one. */
static heard_t hear(const line_t *line, const request_t *q, const ev_modbus_want *want) {
    heard_t heard = {0};
    ev_modbus_reply reply = {0};
    heard.found = twin_find(line->data, line->len, q->unit, q->pdu, q->len, &heard.from, &heard.end);
    const bool open = q->pdu[0] == 12 || q->pdu[0] == 17 || q->pdu[0] == 24 || q->pdu[0] == 43 || q->pdu[0] == 66;
    size_t dropped = 0, there = 0, before = 0;
    ev_modbus_status status = EV_MODBUS_MORE;
    const size_t step = 1 + upto(upto(2) ? 4 : 64);
    while (there < line->len && status == EV_MODBUS_MORE) {
        before = there;
        there += 1 + upto(step);
        if (there > line->len) there = line->len;
        status = ev_modbus_rtu_find(line->data + dropped, there - dropped, want, false, &reply);
        if (status == EV_MODBUS_MORE) dropped += reply.at;
    }
    const bool late = status == EV_MODBUS_MORE;
    if (late) status = ev_modbus_rtu_find(line->data + dropped, line->len - dropped, want, true, &reply);
    if ((status == EV_MODBUS_OK) != (heard.found == 1) || (status == EV_MODBUS_REFUSED) != (heard.found == 2))
        fail("the two finders differ", q, line);
    if (heard.found && dropped + reply.end != heard.end) fail("they find different frames", q, line);
    if (heard.found == 1 && !open && (late || before >= heard.end)) fail("delivered late", q, line);
    return heard;
}

static struct {
    uint64_t whole, own, other, little, little_inside, much, much_judged, much_accepted, judged_accepted, wrong,
        wrong_inside, tcp, tcp_good;
} count;

static void one_recoverable(const request_t *q, const ev_modbus_want *want) {
    line_t line = {.len = 0};
    for (size_t n = upto(3); n > 0; n--)
        garbage(&line, q);
    const size_t from = line.len;
    line.len += make_reply(line.data + line.len, q);
    const size_t end = line.len;
    if (upto(2)) garbage(&line, q);
    const heard_t heard = hear(&line, q, want);
    count.whole++;
    if (!heard.found || heard.from > from) fail("not delivered", q, &line);
    if (heard.from == from && heard.end == end)
        count.own++;
    else
        count.other++;
}

static void one_little(const request_t *q, const ev_modbus_want *want) {
    line_t line = {.len = 0};
    ev_modbus_reply reply;
    line.len = make_reply(line.data, q);
    damage_little(&line);
    count.little++;
    if (ev_modbus_rtu_check(line.data, line.len, want, &reply) <= EV_MODBUS_REFUSED) fail("damage not seen", q, &line);
    const heard_t heard = hear(&line, q, want);
    if (heard.found && heard.from == 0 && heard.end == line.len) fail("damage not seen", q, &line);
    count.little_inside += heard.found != 0;
}

static void one_much(const request_t *q, const ev_modbus_want *want) {
    line_t line = {.len = 0}, good;
    line.len = make_reply(line.data, q);
    good = line;
    damage_much(&line);
    const heard_t heard = hear(&line, q, want);
    const size_t size = heard.end - heard.from;
    count.much++;
    const bool accepted = heard.found && (size != good.len || memcmp(line.data + heard.from, good.data, size) != 0);
    /* With the header as it was only the CRC can tell. */
    const bool judged = line.len == good.len && memcmp(line.data, good.data, 3) == 0 && good.data[1] == q->pdu[0] &&
                        want->shape == EV_MODBUS_COUNTED && memcmp(line.data, good.data, good.len) != 0;
    count.much_accepted += accepted;
    count.much_judged += judged;
    count.judged_accepted += judged && accepted && heard.from == 0 && heard.end == line.len;
}

static void one_wrong(const request_t *q, const ev_modbus_want *want) {
    line_t line = {.len = 0};
    ev_modbus_reply reply;
    stale(&line, q);
    const int right = twin_is_reply(line.data, line.len, q->unit, q->pdu, q->len);
    const ev_modbus_status status = ev_modbus_rtu_check(line.data, line.len, want, &reply);
    if ((status == EV_MODBUS_OK) != (right == 1) || (status == EV_MODBUS_REFUSED) != (right == 2))
        fail("the checks differ", q, &line);
    const heard_t heard = hear(&line, q, want);
    if (right) return; /* the same unit, function and count: no byte of the frame says that it is another's */
    count.wrong++;
    count.wrong_inside += heard.found != 0;
}

static void one_tcp(const request_t *q, const ev_modbus_want *want) {
    uint8_t frame[EV_MODBUS_RTU_MAX];
    line_t line = {.len = 0};
    ev_modbus_reply reply;
    const size_t len = make_reply(frame, q) - 2;
    const uint16_t transaction = (uint16_t)chance();
    word(line.data, transaction);
    word(line.data + 2, 0);
    word(line.data + 4, len);
    memcpy(line.data + 6, frame, len);
    line.len = 6 + len;
    switch (upto(4)) {
    case 0:
        flip(line.data, upto(8 * 9));
        break;
    case 1:
        damage_much(&line);
        break;
    case 2:
        stale(&line, q);
        memmove(line.data + 6, line.data + 6 + len, line.len -= 6 + len);
        line.len += 4;
        word(line.data + 4, line.len - 6);
        break;
    default:
        break;
    }
    const uint8_t *d = line.data;
    const bool framed = line.len >= 9 && line.len <= 260 && twin_word(d) == transaction && twin_word(d + 2) == 0 &&
                        twin_word(d + 4) == line.len - 6 && d[6] == q->unit;
    const bool refused = framed && d[7] == q->pdu[0] + 128 && line.len == 9;
    const bool good = framed && twin_good(d + 7, line.len - 7, q->pdu, q->len);
    const ev_modbus_status status = ev_modbus_tcp_check(d, line.len, want, transaction, &reply);
    if ((status == EV_MODBUS_OK) != good || (status == EV_MODBUS_REFUSED) != refused)
        fail("TCP: they differ", q, &line);
    count.tcp++;
    count.tcp_good += good || refused;
}

int main(int arguments, char **argument) {
    const uint64_t frames = arguments > 1 ? strtoull(argument[1], NULL, 10) : 1000000;
    state = arguments > 2 ? strtoull(argument[2], NULL, 10) : 20261124;
    for (uint64_t i = 0; i < frames; i++) {
        request_t q;
        ev_modbus_want want;
        begun = state;
        make_request(&q);
        if (!twin_want(q.pdu, q.len, q.unit, &want)) fail("not taken for a request", &q, &(line_t){.len = 0});
        const size_t kind = upto(10);
        if (kind < 3)
            one_recoverable(&q, &want);
        else if (kind < 6)
            one_little(&q, &want);
        else if (kind < 8)
            one_much(&q, &want);
        else if (kind < 9)
            one_wrong(&q, &want);
        else
            one_tcp(&q, &want);
    }
    printf("%" PRIu64 " frames\n", frames);
    printf("whole on the line, garbage around: %" PRIu64 "; delivered %" PRIu64
           ", a whole frame before it instead %" PRIu64 "\n",
           count.whole, count.own, count.other);
    printf("1-3 bits or a burst up to 16: %" PRIu64 "; accepted 0; a whole shorter frame found in them %" PRIu64 "\n",
           count.little, count.little_inside);
    printf("damaged more: %" PRIu64 "; accepted %" PRIu64 " (%.3g); of %" PRIu64
           " with length and header intact %" PRIu64 " (%.3g; 2^-16 is 1.53e-05)\n",
           count.much, count.much_accepted, (double)count.much_accepted / (double)(count.much ? count.much : 1),
           count.much_judged, count.judged_accepted,
           (double)count.judged_accepted / (double)(count.much_judged ? count.much_judged : 1));
    printf("replies to other questions: %" PRIu64 "; accepted 0; a whole frame found in them %" PRIu64 "\n",
           count.wrong, count.wrong_inside);
    printf("TCP: %" PRIu64 "; right %" PRIu64 ", all others refused\n", count.tcp, count.tcp_good);
    return 0;
}
