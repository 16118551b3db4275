"""examples/codec.py runs and answers as it says."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "codec.py"


def test_the_codec_example_answers_each_message(capsys):
    runpy.run_path(str(EXAMPLE))
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "Authorize {'id_tag': '04E1A2B3'}",
        """-> b'[3,"17",{"idTagInfo":{"status":"Accepted"}}]'""",
        '-> b\'[4,"18","TypeConstraintViolation","TypeConstraintViolation at /idTag: expected string, got 4",{}]\'',
        "Heartbeat {}",
        """-> b'[4,"19","NotSupported","Heartbeat is not served here",{}]'""",
        "not a frame: json at 29: not a JSON document",
        "-> None",
    ]
