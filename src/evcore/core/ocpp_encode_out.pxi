# Where a message is written before its length is known.

cdef enum:
    SCRATCH = 1 << 16  # bytes that are kept from message to message

cdef struct Out:
    uint8_t *start
    uint8_t *at
    uint8_t *end
    size_t size     # bytes that the message may have
    size_t nodes    # values that may still come
    unsigned depth  # containers that may still be opened
    bint judging    # by the schema
    bint formats    # by date-time and uri too


cdef object beyond(str detail):
    return FrameError("limit", detail)


# One message at a time holds it, others get their own.
cdef uint8_t *scratch = NULL
cdef bint scratch_taken = False


cdef bint open_out(Out *out) except -1:
    """Room to write into; whether it is the scratch, see close_out."""
    global scratch, scratch_taken
    cdef bint mine = not scratch_taken
    if mine and scratch == NULL:
        scratch = <uint8_t *>PyMem_Malloc(SCRATCH)
    out.start = scratch if mine else <uint8_t *>PyMem_Malloc(SCRATCH)
    if out.start == NULL:
        raise MemoryError
    scratch_taken = True
    out.at, out.end = out.start, out.start + SCRATCH
    return mine


cdef void close_out(Out *out, bint mine) noexcept:
    global scratch, scratch_taken
    if not mine:
        PyMem_Free(out.start)
        return
    scratch_taken = False
    if out.end - out.start != SCRATCH:  # it grew: not kept
        PyMem_Free(out.start)
        scratch = NULL


cdef inline int reserve(Out *out, size_t more) except -1:
    """Room for so many bytes and a comma."""
    return 0 if <size_t>(out.end - out.at) > more else grow(out, more + 1)


cdef int grow(Out *out, size_t more) except -1:
    global scratch
    cdef size_t used = <size_t>(out.at - out.start), wanted = 2 * (used + more)
    cdef uint8_t *moved
    if used > out.size:
        raise beyond("longer than the limit")
    moved = <uint8_t *>PyMem_Realloc(out.start, wanted)
    if moved == NULL:
        raise MemoryError
    if scratch == out.start:
        scratch = moved
    out.start, out.at, out.end = moved, moved + used, moved + wanted
    return 0
