/* What the C tests share: a check that names its place, counts, and fails the program at the end. */
#ifndef EVCORE_CHECK_H
#define EVCORE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static int checks_failed;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            checks_failed++;                                                                                           \
        }                                                                                                              \
    } while (0)

#define CHECK_DONE() return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE

#endif
