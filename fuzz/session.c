/* The session engine under libFuzzer: CPython in this process, the native core under the sanitizers, and session.py,
 * which makes steps of two sessions of an input and asserts what must hold. What it reports as new is told to
 * libFuzzer. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef FUZZ_PYTHON /* the interpreter of the environment that has the packages */
#error "FUZZ_PYTHON, FUZZ_SCRIPTS and FUZZ_CORE come from CMakeLists.txt"
#endif

/* libFuzzer takes these for coverage: they stand for what happened, since it cannot see into Python. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t happened[4096];

/* The interpreter leaves much behind on purpose. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static PyObject *run;

static void stop(void) {
    PyErr_Print();
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    PyPreConfig before;
    PyPreConfig_InitPythonConfig(&before);
    before.allocator = PYMEM_ALLOCATOR_MALLOC; /* so that the sanitizer knows each object */
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.use_hash_seed = 1; /* an input takes the same way each time */
    config.hash_seed = 0;
    status = PyConfig_SetBytesString(&config, &config.program_name, FUZZ_PYTHON);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    PyConfig_Clear(&config);
    PyObject *path = PySys_GetObject("path"), *scripts = PyUnicode_FromString(FUZZ_SCRIPTS);
    if (path == NULL || scripts == NULL || PyList_Insert(path, 0, scripts) != 0) {
        stop();
    }
    PyObject *module = PyImport_ImportModule("session");
    PyObject *counters = PyMemoryView_FromMemory((char *)happened, sizeof happened, PyBUF_WRITE);
    if (module == NULL || counters == NULL) {
        stop();
    }
    run = PyObject_CallMethod(module, "prepare", "sO", FUZZ_CORE, counters);
    if (run == NULL) {
        stop();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *result = PyObject_CallFunction(run, "y#", (const char *)data, (Py_ssize_t)size);
    if (result == NULL) {
        stop();
    }
    Py_DECREF(result);
    return 0;
}
