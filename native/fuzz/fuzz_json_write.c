/* What is written reads back: a string (of bytes made ASCII), an integer, a double; room and digits as promised.
 * Input: eight bytes of number, then the string. */
#include "evcore/json.h"
#include "evcore/json_write.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) abort();
}

static void text_reads_back(const uint8_t *text, size_t len) {
    uint8_t *out = malloc(ev_json_text_room(len)), *back = malloc(ev_json_text_room(len));
    must(out != NULL && back != NULL);
    const size_t written = (size_t)(ev_json_put_text(out, text, len) - out);
    size_t at = 0, back_len = 0;
    must(written <= ev_json_text_room(len));
    must(ev_json_skip(out, written, 1, &at) == EV_JSON_OK && at == written);
    must(ev_json_text(out, written, back, &back_len) == len);
    must(back_len == len && (len == 0 || memcmp(back, text, len) == 0));
    free(out);
    free(back);
}

static void numbers_read_back(const uint8_t *bytes) {
    uint8_t out[EV_JSON_REAL_MAX + 1];
    int64_t integer;
    double real;
    int tenths = 0;
    memcpy(&integer, bytes, 8);
    memcpy(&real, bytes, 8);
    const uint8_t *end = ev_json_put_integer(out, integer);
    must(end - out <= EV_JSON_INTEGER_MAX && ev_json_integer(out, (size_t)(end - out)) == integer);
    const double reals[] = {real, (double)integer / 10, (double)(integer >> 32) / 1000};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        uint8_t *stop = ev_json_put_real(out, reals[i], &tenths);
        if (stop == NULL) continue;
        must(stop - out <= EV_JSON_REAL_MAX);
        must(ev_json_multiple(out, (size_t)(stop - out), 1) == (tenths != 0));
        *stop = 0;
        must(strtod((const char *)out, NULL) == reals[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 8) return 0;
    numbers_read_back(data);
    uint8_t *text = malloc(size);
    must(text != NULL);
    for (size_t i = 8; i < size; i++)
        text[i - 8] = data[i] & 0x7F;
    text_reads_back(text, size - 8);
    free(text);
    return 0;
}
