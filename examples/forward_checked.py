"""One step of a proxy between a station and a backend: check without decoding, pass the station's own bytes on.

A name that is there twice in one object is the JSON form of request smuggling: one reader takes the first value, the
next one the last. Such a message is written anew from what was judged, so that both sides see the same.

Run: python examples/forward_checked.py
"""

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec

codec = Codec("1.6", formats=True)
asked = {"b7": "Reset"}  # calls of the backend that the station still has to answer


def forward(message: bytes) -> tuple[bytes | None, bytes | None]:
    """(what goes on to the backend, what goes back to the station)"""
    try:
        frame = codec.check(message, action=asked)  # every byte and every value judged, no object made
    except PayloadError as error:
        return None, codec.encode_error(error.id, error.code, str(error)) if error.type == 2 else None
    except FrameError as error:
        print("dropped:", error)
        return None, None
    if frame.repeated:
        encode = codec.encode_call if frame.type == 2 else codec.encode_result
        message = encode(frame.id, frame.action, codec.decode(message, names="wire", action=asked).payload)
    return message, None


for received in (
    b'[2, "17", "Authorize", {"idTag": "04E1A2B3"}]',
    b'[2,"18","Authorize",{"idTag":"FREE","\\u0069dTag":"04E1A2B3"}]',
    b'[2,"19","Authorize",{"idTag":4}]',
    b'[3,"b7",{"status":"Rejected","status":"Accepted"}]',
    b'[3,"b8",{"status":"Accepted"}]',
):
    print(*forward(received))
