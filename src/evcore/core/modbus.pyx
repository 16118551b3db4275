# cython: language_level=3, embedsignature=True
"""Modbus, the seam: bytes in, Python objects out. The contract is native/include/evcore/crc16.h."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t

cdef extern from "evcore/crc16.h" nogil:
    uint16_t ev_crc16(const uint8_t *data, size_t len)


def crc16(data):
    """Return the CRC-16/MODBUS of `data`.

    data: bytes-like. Result: 0..65535; a frame carries it low byte first.
    Raises TypeError (not bytes-like).
    Source: MODBUS over Serial Line V1.02, 2.5.1.2.
    """
    cdef Py_buffer view
    if type(data) is bytes:
        return ev_crc16(<const uint8_t *>(<bytes>data), <size_t>len(<bytes>data))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return ev_crc16(<const uint8_t *>view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
