"""Messages on their way out: nothing wrong gets out."""

import enum
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from evcore.errors import FrameError, PayloadError
from evcore.ocpp import Codec
from evcore.ocpp.policy import Policy


class Colour(enum.Enum):
    RED = "Red"


# ---- ids ----


@pytest.mark.parametrize(
    ("id", "reason"), [(5, "idtype"), (None, "idtype"), ("", "length"), ("é" * 37, "length"), ("\ud800", "utf8")]
)
def test_a_wrong_id_is_a_frame_error_whatever_is_sent(id, reason):
    codec = Codec("2.1")
    for send in (
        lambda: codec.encode_call(id, "Heartbeat", {}),
        lambda: codec.encode_result(id, "Heartbeat", {"current_time": "2026-11-23T18:00:00Z"}),
        lambda: codec.encode_result(id, "Heartbeat", {}),
        lambda: codec.encode_call(id, "NoSuch", {}) if reason != "idtype" else codec.encode_error(id, "GenericError"),
        lambda: codec.encode_error(id, "GenericError"),
        lambda: codec.encode_result_error(id, "GenericError"),
    ):
        with pytest.raises(FrameError) as caught:
            send()
        assert caught.value.reason == reason


def test_an_id_of_36_characters_of_any_kind_goes_out_and_comes_in():
    codec = Codec("1.6")
    for id in ("😀" * 36, '"\\\n\x00', "x" * 36):
        assert codec.decode(codec.encode_call(id, "Heartbeat", {})).id == id


def test_an_action_that_is_no_text_is_a_type_error():
    with pytest.raises(TypeError, match="action"):
        Codec("1.6").encode_call("1", None, {})


# ---- payloads ----

NODE = {"id_token": "T", "type": "Local"}


@pytest.mark.parametrize(
    ("version", "action", "payload", "code", "path", "got"),
    [
        ("1.6", "Authorize", {}, "OccurenceConstraintViolation", "/idTag", "nothing"),
        ("1.6", "Authorize", {"id_tag": 5}, "TypeConstraintViolation", "/idTag", "5"),
        ("1.6", "Authorize", {"id_tag": "é" * 21}, "PropertyConstraintViolation", "/idTag", "21"),
        ("1.6", "Authorize", {"id_tag": "A", "other": 1}, "FormationViolation", "/other", "1"),
        ("1.6", "Reset", {"type": "hard"}, "PropertyConstraintViolation", "/type", "'hard'"),
        ("1.6", "Reset", {"type": Colour.RED}, "PropertyConstraintViolation", "/type", "'Red'"),
        ("1.6", "GetConfiguration", {"key": ["a", 5]}, "TypeConstraintViolation", "/key/1", "5"),
        ("2.0.1", "GetVariables", {"get_variable_data": ()}, "OccurrenceConstraintViolation", "/getVariableData", "0"),
        ("2.0.1", "SetMonitoringLevel", {"severity": 1.5}, "TypeConstraintViolation", "/severity", "1.5"),
        ("2.0.1", "SetMonitoringLevel", {"severity": Decimal("1.5")}, "TypeConstraintViolation", "/severity", "1.5"),
        ("2.0.1", "SetMonitoringLevel", {"severity": float("nan")}, "TypeConstraintViolation", "/severity", "null"),
        ("2.0.1", "SetMonitoringLevel", {"severity": True}, "TypeConstraintViolation", "/severity", "true"),
        ("2.0.1", "CostUpdated", {"total_cost": "1", "transaction_id": "t"}, "TypeConstraintViolation", "/totalCost",
         "a string of 1 characters"),
        ("2.0.1", "Authorize", {"id_token": NODE, "certificate": [1]}, "TypeConstraintViolation", "/certificate",
         "an array"),
        ("2.0.1", "Authorize", {"id_token": [NODE]}, "TypeConstraintViolation", "/idToken", "an array"),
    ],
)  # fmt: skip
def test_what_breaks_its_schema_is_refused_as_it_is_when_it_comes_in(version, action, payload, code, path, got):
    with pytest.raises(PayloadError) as caught:
        Codec(version).encode_call("77", action, payload)
    error = caught.value
    assert (error.code, error.path, error.got) == (code, path, got)
    assert (error.id, error.action, error.type) == ("77", action, 2)


def test_a_payload_is_an_object():
    codec = Codec("1.6")
    with pytest.raises(PayloadError) as caught:
        codec.encode_call("1", "Heartbeat", None)
    assert (caught.value.code, caught.value.expected, caught.value.got) == ("TypeConstraintViolation", "object", "null")
    for wrong in ([], "x", 5):
        with pytest.raises((PayloadError, FrameError)):
            codec.encode_call("1", "Heartbeat", wrong)


def test_numbers_that_only_a_reader_can_judge_are_judged():
    codec = Codec("1.6")

    def profile(limit):
        schedule = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": limit}]}
        profile = {"charging_profile_id": 1, "stack_level": 0, "charging_profile_purpose": "TxProfile"}
        profile |= {"charging_profile_kind": "Absolute", "charging_schedule": schedule}
        return codec.encode_call("1", "SetChargingProfile", {"connector_id": 1, "cs_charging_profiles": profile})

    for limit in (16, 16.0, 0.1, 0.3, 1e300, Decimal("0.30"), Decimal("1E+2"), -0.7):
        assert profile(limit)
    for limit in (0.35, 0.1 + 0.2, 1e-300, Decimal("0.35"), Decimal("0.30000000000000000001")):
        with pytest.raises(PayloadError, match=r"a multiple of 0\.1"):
            profile(limit)


def test_formats_are_judged_where_they_are_asked_for():
    for formats, refused in ((False, False), (True, True)):
        codec = Codec("1.6", formats=formats)
        assert codec.encode_result("1", "Heartbeat", {"current_time": datetime(2026, 1, 1, tzinfo=UTC)})
        assert codec.encode_result("1", "Heartbeat", {"current_time": "2026-01-01T00:00:00+01:00"})
        for wrong in ("yesterday", "2026-02-30T00:00:00Z", "é"):
            if refused:
                with pytest.raises(PayloadError):
                    codec.encode_result("1", "Heartbeat", {"current_time": wrong})
            else:
                assert codec.encode_result("1", "Heartbeat", {"current_time": wrong})


def test_without_a_judge_names_are_mapped_and_the_rest_goes_out():
    codec = Codec("1.6", policy=Policy("off", out="off"))
    assert codec.encode_call("1", "Authorize", {"id_tag": 5, "x_y": [None]}) == (
        b'[2,"1","Authorize",{"idTag":5,"x_y":[null]}]'
    )
    assert codec.encode_call("1", "MyOwn", {"id_tag": 5}) == b'[2,"1","MyOwn",{"id_tag":5}]'
    assert codec.encode_result("1", "MyOwn", {"id_tag": 5}) == b'[3,"1",{"id_tag":5}]'
