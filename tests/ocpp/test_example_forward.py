"""examples/forward_checked.py runs, and passes on what it says."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "forward_checked.py"


def test_what_is_valid_goes_on_byte_for_byte_and_a_name_given_twice_once(capsys):
    runpy.run_path(str(EXAMPLE))
    assert capsys.readouterr().out.splitlines() == [
        """b'[2, "17", "Authorize", {"idTag": "04E1A2B3"}]' None""",
        """b'[2,"18","Authorize",{"idTag":"04E1A2B3"}]' None""",
        'None b\'[4,"19","TypeConstraintViolation","TypeConstraintViolation at /idTag: expected string, got 4",{}]\'',
        """b'[3,"b7",{"status":"Accepted"}]' None""",
        "dropped: unsolicited: no call with this id",
        "None None",
    ]
