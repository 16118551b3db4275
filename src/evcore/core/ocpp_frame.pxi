# Included by ocpp.pyx: the Frame, and str from tokens.


@cython.final
@cython.freelist(64)
cdef class Frame:
    """One OCPP-J message.

    type: 2 CALL, 3 CALLRESULT, 4 CALLERROR, 5 CALLRESULTERROR, 6 SEND. id: the message id, 1 to 36 characters.
    action: of a CALL or SEND; of a CALLRESULT once it was decoded with the call's action. payload: None until decoded.
    payload_span: (start, end) of the payload, or of an error's details, in the bytes received (of a str: in its UTF-8).
    error_code, error_description, error_details: of a CALLERROR or CALLRESULTERROR, otherwise None.
    repairs: what the lenient mode mended (`evcore.ocpp.repairs.Repair`), () if nothing. mended: the whole message as it
    was then understood, to which payload_span refers; None if it was as received.
    repeated: once it was checked or decoded, whether an object has a member of its schema twice. The last one counts, but
    it need not where the same bytes are read next: who passes them on writes them anew.
    Source: OCPP-J 1.6, 4.2; OCPP 2.1 Part 4, 4.2.
    """

    __match_args__ = ("type", "id", "action", "payload")

    def __init__(self, int type, str id not None, str action=None, payload=None, tuple payload_span=None, *,
                 str error_code=None, str error_description=None, error_details=None, tuple repairs=()):
        self.type, self.id, self.action, self.payload, self.payload_span = type, id, action, payload, payload_span
        if error_code is not None or error_description is not None or error_details is not None:
            self._error = [error_code, error_description, error_details]
        self.repairs = repairs

    @property
    def payload_span(self):
        return None if self._start < 0 else (self._start, self._end)

    @payload_span.setter
    def payload_span(self, span):
        self._start, self._end = (-1, -1) if span is None else span

    @property
    def error_code(self):
        return None if self._error is None else self._error[0]

    @property
    def error_description(self):
        return None if self._error is None else self._error[1]

    @property
    def error_details(self):
        return None if self._error is None else self._error[2]

    @property
    def repairs(self):
        return () if self._repairs is None else self._repairs

    @repairs.setter
    def repairs(self, tuple repairs not None):
        self._repairs = repairs if repairs else None

    def _fields(self):
        return (self.type, self.id, self.action, self.payload, self.payload_span, self.error_code,
                self.error_description, self.error_details, self.repairs)

    def __eq__(self, other):
        return self._fields() == (<Frame>other)._fields() if isinstance(other, Frame) else NotImplemented

    __hash__ = None

    def __repr__(self):
        error = f", error_code={self.error_code!r}" if self.error_code is not None else ""
        return f"Frame(type={self.type}, id={self.id!r}, action={self.action!r}{error})"


cdef inline object ascii(const uint8_t *start, size_t size):
    """A str of bytes that are known to be ASCII."""
    cdef object made = PyUnicode_New(<Py_ssize_t>size, 127)
    memcpy(PyUnicode_1BYTE_DATA(made), start, size)
    return made


cdef object unescaped(const uint8_t *start, size_t size):
    """A str of the bytes between the quotes of a token."""
    cdef size_t length = 0
    cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)
    ev_json_text(start - 1, size + 2, <uint8_t *>PyBytes_AS_STRING(out), &length)
    return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(out), <Py_ssize_t>length, "strict")


cdef inline object text(const uint8_t *start, size_t size, unsigned flags):
    """A str of the bytes between quotes, as the tape describes them."""
    if size == 0:
        return ""
    if flags == 0:
        return ascii(start, size)
    if flags & EV_TAPE_ESCAPED:
        return unescaped(start, size)
    return PyUnicode_DecodeUTF8(<const char *>start, <Py_ssize_t>size, "strict")


cdef str token(const uint8_t *data, ev_span span):
    """A string token of a frame as str; None where there is none."""
    if span.len == 0:
        return None
    if memchr(data + span.at, c'\\', span.len) == NULL:
        return PyUnicode_DecodeUTF8(<const char *>data + span.at + 1, <Py_ssize_t>span.len - 2, "strict")
    return unescaped(data + span.at + 1, span.len - 2)
