"""Payloads: the verdicts, the errors, the names and the way back."""

import json

from evcore.errors import PayloadError
from evcore.ocpp import Codec, Limits


def test_the_verdicts_on_payloads_of_other_implementations(shared_data):
    lines = (shared_data / "ocpp" / "payloads.jsonl").read_text().splitlines()
    wrong = []
    for line in lines:
        case = json.loads(line)
        codec = Codec(case["version"], limits=Limits(size=1 << 20))
        encode = codec.encode_call if case["kind"] == "request" else codec.encode_result
        try:
            encode("1", case["action"], case["payload"])
            valid = True
        except PayloadError:
            valid = False
        if valid != case["valid"]:
            wrong.append(line)
    assert wrong == []
