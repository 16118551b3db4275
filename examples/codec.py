"""Embed the OCPP codec: bytes from any transport in, checked payloads out, and answers back. No socket, no event loop.

Run: python examples/codec.py
"""

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec

codec = Codec("1.6")


def answer(message: bytes) -> bytes | None:
    """What a backend would send back; None where OCPP-J says to keep silent."""
    try:
        frame = codec.decode(message)
    except PayloadError as error:
        return codec.encode_error(error.id, error.code, str(error)) if error.type == 2 else None
    except FrameError as error:
        print("not a frame:", error)
        return None
    if frame.type != 2:
        return None
    print(frame.action, frame.payload)
    if frame.action == "Authorize":
        return codec.encode_result(frame.id, frame.action, {"id_tag_info": {"status": "Accepted"}})
    return codec.encode_error(frame.id, "NotSupported", f"{frame.action} is not served here")


for received in (
    b'[2,"17","Authorize",{"idTag":"04E1A2B3"}]',
    b'[2,"18","Authorize",{"idTag":4}]',
    b'[2,"19","Heartbeat",{}]',
    b'[2,"20","Authorize",{"idTag":',
):
    print("->", answer(received))
