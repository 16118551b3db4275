"""Payloads: the verdict is jsonschema's, the code is the table's, the text is bounded and keeps secrets."""

import json
from decimal import Decimal, localcontext
from importlib import resources

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_cases import by_digits

from evcore.errors import PayloadError
from evcore.ocpp import Codec, Limits
from evcore.ocpp.schemas import VERSIONS, schemas_of
from evcore.ocpp.violations import CODES, spell

ROOMY = Limits(size=1 << 26, nodes=1 << 26)


def encode(version, kind, action, payload):
    codec = Codec(version, limits=ROOMY)
    return {"request": codec.encode_call, "response": codec.encode_result, "send": codec.encode_send}[kind](
        "1", action, payload
    )


def refusal(version, kind, action, payload):
    """The PayloadError, None where the payload is accepted."""
    try:
        encode(version, kind, action, payload)
    except PayloadError as error:
        return error
    return None


def test_the_verdicts_on_payloads_of_other_implementations(shared_data):
    lines = (shared_data / "ocpp" / "payloads.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    assert len(cases) == 525
    for case in cases:
        error = refusal(case["version"], case["kind"], case["action"], case["payload"])
        assert (error is None) == case["valid"], (case, error)


def file_name(version, kind, action):
    if kind == "response":
        return f"{action}Response.json"
    return f"{action}Request.json" if kind == "request" and version != "1.6" else f"{action}.json"


@pytest.fixture(scope="module")
def judges():
    """A plain jsonschema validator of every message: its own file, references and all, numbers by their digits."""
    made = {}
    for version, folder in VERSIONS.items():
        for kind, action in schemas_of(version).messages:
            file = resources.files("ocpp") / folder / "schemas" / file_name(version, kind, action)
            decimals = json.loads(file.read_text("utf-8-sig"), parse_float=Decimal)
            made[version, kind, action] = jsonschema.validators.validator_for(decimals)(decimals)  # draft 4 or 6
    return made


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_verdicts_on_valid_and_changed_payloads_are_those_of_jsonschema(
    judges, every_schema, make_payload, changed_payload, seed
):
    for version, kind, schema in every_schema[seed % 7 :: 23]:
        valid = make_payload(schema, seed)
        assert refusal(version, kind, schema.action, valid) is None
        changed = changed_payload(schema, seed)
        number = Decimal if by_digits(schema) else float
        with localcontext(prec=400):  # of which its own remainder of 1e300 by 0.1 needs 301
            expected = judges[version, kind, schema.action].is_valid(
                json.loads(json.dumps(changed), parse_float=number)
            )
        error = refusal(version, kind, schema.action, changed)
        assert (error is None) == expected, (schema.action, changed, error)


def test_every_message_of_every_version_has_a_schema_and_they_use_no_rule_that_the_table_lacks(every_schema):
    assert len(every_schema) == 78 + 128 + 181
    inert = {"$schema", "$id", "id", "title", "comment", "description", "javaType", "default", "properties"}
    inert |= {"items", "additionalItems"}

    def rules(node):
        for key, value in node.items():
            yield key
            children = value.values() if key == "properties" else [value] if key == "items" else ()
            for child in children:
                yield from rules(child)

    used = {rule for _, _, schema in every_schema for rule in rules(schema.root)}
    assert used - inert == set(CODES) - {"minLength"}


# ---- codes ----

METER = {"connectorId": 1, "meterValue": [{"timestamp": "2026-11-23T18:00:00Z", "sampledValue": [{"value": "1"}]}]}


@pytest.mark.parametrize(
    ("version", "action", "payload", "code", "path", "expected", "got"),
    [
        ("1.6", "Authorize", {}, "OccurenceConstraintViolation", "/idTag", "a value", "nothing"),
        ("2.0.1", "Authorize", {}, "OccurrenceConstraintViolation", "/idToken", "a value", "nothing"),
        ("1.6", "Authorize", {"idTag": 5}, "TypeConstraintViolation", "/idTag", "string", "5"),
        ("1.6", "Authorize", {"idTag": None}, "TypeConstraintViolation", "/idTag", "string", "null"),
        ("1.6", "Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation", "/idTag", "at most 20 characters",
         "21"),
        ("1.6", "Authorize", {"idTag": "x", "y/z": "s"}, "FormationViolation", "/y~1z", "no such member",
         "a string of 1 characters"),
        ("2.1", "Heartbeat", {"x": []}, "FormatViolation", "/x", "no such member", "an array"),
        ("1.6", "Reset", {"type": "Warm"}, "PropertyConstraintViolation", "/type", "one of Hard, Soft", "'Warm'"),
        ("1.6", "MeterValues", {**METER, "meterValue": []}, "OccurenceConstraintViolation", "/meterValue",
         "1 or more items", "0"),
        ("2.0.1", "GetVariables", {"getVariableData": []}, "OccurrenceConstraintViolation", "/getVariableData",
         "1 or more items", "0"),
        ("2.0.1", "SetMonitoringLevel", {"severity": 1.5}, "TypeConstraintViolation", "/severity", "integer", "1.5"),
        ("1.6", "Nothing", {}, "NotImplemented", "", "a known action", "'Nothing'"),
        ("1.6", "NotifyReport", {}, "NotImplemented", "", "a known action", "'NotifyReport'"),
    ],
)  # fmt: skip
def test_each_violation_has_the_code_of_its_version_the_place_and_the_reason(
    version, action, payload, code, path, expected, got
):
    message = b'[2,"77","%s",%s]' % (action.encode(), json.dumps(payload).encode())
    with pytest.raises(PayloadError) as caught:
        Codec(version).decode(message)
    error = caught.value
    assert (error.code, error.path, error.expected, error.got) == (code, path, expected, got)
    assert (error.id, error.action, error.type) == ("77", action, 2)


def test_a_path_names_items_by_their_place():
    payload = {**METER, "meterValue": [{**METER["meterValue"][0], "sampledValue": [{"value": "1"}, {"value": 1}]}]}
    error = refusal("1.6", "request", "MeterValues", payload)
    assert error.path == "/meterValue/0/sampledValue/1/value"


def test_codes_are_spelled_for_the_version_whichever_spelling_they_come_in():
    assert spell("1.6", "FormatViolation") == spell("1.6", "FormationViolation") == "FormationViolation"
    assert spell("2.1", "FormatViolation") == spell("2.1", "FormationViolation") == "FormatViolation"
    assert spell("1.6", "OccurrenceConstraintViolation") == "OccurenceConstraintViolation"
    assert spell("2.0.1", "OccurenceConstraintViolation") == "OccurrenceConstraintViolation"
    assert spell("1.6", "GenericError") == "GenericError"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_the_text_of_a_violation_is_bounded(every_schema, changed_payload, seed):
    for version, kind, schema in every_schema[seed % 31 :: 31]:
        error = refusal(version, kind, schema.action, changed_payload(schema, seed))
        if error is not None:
            assert len(error.path) < 400
            assert len(error.expected) < 250
            assert len(error.got) < 60
            assert set(CODES.values()) & {spell("2.1", error.code)}


def test_a_violation_does_not_repeat_a_password():
    for value in ("hunter2" * 100, ["hunter2"], {"hunter2": "hunter2"}):
        error = refusal("1.6", "request", "ChangeConfiguration", {"key": "AuthorizationKey", "value": value})
        assert error.path == "/value"
        assert "hunter2" not in str(error)


def test_a_long_name_in_a_payload_is_cut_in_the_text():
    error = refusal("1.6", "request", "Heartbeat", {"n" * 10_000: "v"})
    assert error.path == "/" + "n" * 37 + "..."


# ---- multipleOf 0.1 ----


def profile(limit: str) -> bytes:
    period = f'{{"startPeriod":0,"limit":{limit}}}'
    schedule = f'{{"chargingRateUnit":"A","chargingSchedulePeriod":[{period}]}}'
    return (
        '[2,"1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
        f'"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{schedule}}}}}]'
    ).encode()


def test_every_tenth_from_0_to_100_is_a_multiple_of_0_1():
    codec = Codec("1.6")
    for tenths in range(1001):
        assert codec.decode(profile(f"{tenths // 10}.{tenths % 10}")).type == 2


@pytest.mark.parametrize(
    "limit", ["16", "0.3", "0.30", "3e-1", "16.1000", "1e300", "-0.7", "0.0", "0e-5", "1.23e1", "1e22"]
)
def test_a_multiple_of_0_1_is_one_in_any_spelling(limit):
    assert Codec("1.6").decode(profile(limit)).type == 2


@pytest.mark.parametrize("limit", ["0.35", "0.30000000000000000001", "1e-2", "16.01", "1.234e1", "1e-300"])
def test_what_is_no_multiple_of_0_1_is_refused_by_its_digits(limit):
    with pytest.raises(PayloadError) as caught:
        Codec("1.6").decode(profile(limit))
    assert caught.value.code == "PropertyConstraintViolation"
    assert caught.value.path == "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit"
    assert caught.value.expected == "a multiple of 0.1"


def test_an_integral_float_is_an_integer_in_2_x_and_not_in_1_6():
    # JSON Schema draft 6, 6.1.1, against draft 4, 3.5: each version's schemas name their draft.
    assert refusal("2.0.1", "request", "SetMonitoringLevel", {"severity": 1.0}) is None
    assert refusal("1.6", "request", "SetMonitoringLevel", {"severity": 1.0}).code == "NotImplemented"
    assert refusal("1.6", "request", "StopTransaction", {"transactionId": 1.0}).code == "TypeConstraintViolation"
