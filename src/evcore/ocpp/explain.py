"""Frames explained: what each says, whom it answers, every violation with its code and place, and what the lenient mode
would make of it. For people who look for the reason; no part of the hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from evcore.errors import FrameError, MessageError, PayloadError
from evcore.ocpp.action_words import WORDS, facts_of
from evcore.ocpp.codec import Codec, Frame, Limits
from evcore.ocpp.frame_log import Found, seconds_between
from evcore.ocpp.judge import Judge, Violation
from evcore.ocpp.lenient import read_broken
from evcore.ocpp.message_types import CALL, CALLERROR, CALLRESULT, CALLRESULTERROR, KINDS, SEND
from evcore.ocpp.policy import Mode, policy_of
from evcore.ocpp.repairs import Repair
from evcore.ocpp.repairs_values import parse
from evcore.ocpp.schemas import VERSIONS, schemas_of

TYPES = {
    CALL: "CALL",
    CALLRESULT: "CALLRESULT",
    CALLERROR: "CALLERROR",
    CALLRESULTERROR: "CALLRESULTERROR",
    SEND: "SEND",
}
_LIMITS = Limits(size=1 << 24, nodes=1 << 24)


@dataclass(slots=True)
class Verdict:
    """One version's. violations: every one, at most 100; none: it is valid. repairs: what the lenient mode would mend;
    lenient: whether it would accept it then. judged: False for an answer to a call that is not known."""

    violations: list[Violation] = field(default_factory=list)
    repairs: tuple[Repair, ...] = ()
    lenient: bool = True
    judged: bool = True


@dataclass(slots=True)
class Explained:
    """One frame. type, id, action: None where they could not be read. meaning: a sentence. facts: of its payload.
    answers: the line of the call it answers. answered: the line of its own answer. after: seconds from call to answer.
    verdicts: by version."""

    found: Found
    type: int | None = None
    id: str | None = None
    action: str | None = None
    meaning: str = ""
    facts: list[str] = field(default_factory=list)
    answers: int | None = None
    answered: int | None = None
    after: float | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        return not any(verdict.violations for verdict in self.verdicts.values())


def explain(found: Iterable[Found], *, versions: Sequence[str] = (), action: str | None = None) -> list[Explained]:
    """Every frame explained. versions: to be judged by; without any, those of which the frames break the fewest rules.
    action: of answers whose call is not among the frames."""
    frames = [_read(each) for each in found]
    _pair(frames, action)
    for frame in frames:
        frame.meaning = _meaning(frame)
        for version in versions or VERSIONS:
            frame.verdicts[version] = judge(frame.found.data, version, frame.action)
    if not versions:
        fitting = _fitting(frames)
        for frame in frames:
            frame.verdicts = {version: frame.verdicts[version] for version in fitting}
    return frames


def unanswered(frames: Iterable[Explained]) -> list[Explained]:
    """The calls that nobody answers."""
    return [frame for frame in frames if frame.type == CALL and frame.answered is None]


def judge(data: bytes, version: str, action: str | None) -> Verdict:
    """What a version says of a message, all of it; whether it is valid is the codec's word. action: of the call that a
    CALLRESULT answers, None if it is not known."""
    strict, lenient = _codec(version, "strict"), _codec(version, "lenient")
    verdict = Verdict()
    try:
        strict.decode(data, action=action)
        return verdict
    except FrameError as error:
        if error.reason == "unsolicited":
            return Verdict(judged=False)
        verdict.violations.append(_broken(data, error))
        data, frame, verdict.repairs = _unbroken(data, error, version)
        verdict.judged = frame is None or frame.type != CALLRESULT or action is not None
    except PayloadError:
        pass
    if verdict.judged:
        try:
            strict.decode(data, action=action)
        except PayloadError as error:
            verdict.violations += _all_violations(strict, data, error)
        except FrameError:
            verdict.lenient = False
            return verdict
        try:
            verdict.repairs += lenient.decode(data, action=action).repairs
        except MessageError:
            verdict.lenient, verdict.repairs = False, ()
    return verdict


def _broken(data: bytes, error: FrameError) -> Violation:
    at = error.where
    if not isinstance(at, int):
        return Violation(error.reason, "", "", error.detail)
    near = data[max(0, at - 24) : at + 12].decode("utf-8", "replace")
    return Violation(error.reason, f"byte {at}", "", f"{error.detail}, near {near!r}")


def _unbroken(data: bytes, error: FrameError, version: str) -> tuple[bytes, Frame | None, tuple[Repair, ...]]:
    """What is no frame as the lenient mode would read it, with the repairs; as it is where nothing helps."""

    def decode(message: bytes, judged: bool) -> Frame:
        return _codec(version, "off").decode(message, names="wire")

    mended, outcome, repairs = read_broken(data, error, policy_of("lenient"), decode)
    if outcome is None or isinstance(outcome, MessageError):
        return data, None, ()
    return mended, outcome, tuple(repairs)


def _all_violations(codec: Codec, data: bytes, first: PayloadError) -> list[Violation]:
    """Every violation of a payload, the one first that the codec met."""
    codecs = Violation(first.code, first.path, first.expected, first.got)
    schema = schemas_of(codec.version).get(KINDS[first.type or CALL], first.action or "")
    if schema is None:
        return [codecs]
    judge = Judge(codec.version, formats=True)
    start, end = codec.scan(data).payload_span or (0, 0)
    judge.judge(schema.root, parse(data[start:end]) or {})
    others = [found for found in judge.violations if (found.code, found.path) != (first.code, first.path)]
    return [codecs, *others]


def _read(found: Found) -> Explained:
    """What can be read of a frame in any version: 2.1 knows every type. Of a broken one, what its repair would give."""
    frame = Explained(found)
    try:
        read = _codec("2.1", "off").decode(found.data, names="wire")
    except FrameError as error:
        frame.type, frame.id, frame.meaning = error.type, error.id, "no frame of OCPP-J"
        mended = _unbroken(found.data, error, "2.1")[1]
        if mended is None:
            return frame
        read = mended
    frame.type, frame.id, frame.action, frame.facts = read.type, read.id, read.action, _facts(read)
    return frame


@cache
def _codec(version: str, mode: Mode) -> Codec:
    return Codec(version, mode=mode, formats=True, limits=_LIMITS)


def _pair(frames: list[Explained], action: str | None) -> None:
    """Say of each answer which call it answers: the last one open with its id, of its station, the other way."""
    calls: dict[str, list[Explained]] = {}
    for frame in frames:
        if frame.id is None:
            continue
        if frame.type == CALL:
            calls.setdefault(frame.id, []).append(frame)
        elif frame.type in (CALLRESULT, CALLERROR, CALLRESULTERROR):
            call = next((call for call in reversed(calls.get(frame.id, ())) if _belong(call, frame)), None)
            if call is None:
                frame.action = action
                continue
            frame.action, frame.answers = call.action, call.found.line
            if call.answered is None and frame.type != CALLRESULTERROR:
                call.answered = frame.found.line
                frame.after = seconds_between(call.found.time, frame.found.time)


def _belong(call: Explained, answer: Explained) -> bool:
    one, other = call.found, answer.found
    if one.station and other.station and one.station != other.station:
        return False
    if answer.type == CALLRESULTERROR or one.direction is None or other.direction is None:
        return True
    return one.direction != other.direction


def _fitting(frames: list[Explained]) -> list[str]:
    """The versions that know the most actions, and of these those that the frames break least."""

    def strangeness(version: str) -> tuple[int, int]:
        verdicts = [frame.verdicts[version].violations for frame in frames]
        unknown = sum(bool(found) and found[0].code == "NotImplemented" for found in verdicts)
        return unknown, sum(map(bool, verdicts))

    least = min(map(strangeness, VERSIONS))
    return [version for version in VERSIONS if strangeness(version) == least]


def _meaning(frame: Explained) -> str:
    if frame.type is None:
        return "no frame of OCPP-J"
    if frame.type in (CALL, SEND):
        return WORDS.get(frame.action or "", "an action that OCPP 1.6, 2.0.1 and 2.1 do not know")
    what = {CALLRESULT: "the answer", CALLERROR: "a refusal", CALLRESULTERROR: "an answer that was not understood"}
    of = f"to {frame.action}" if frame.action else "to a call that is not here"
    return f"{what.get(frame.type, 'a message')} {of}"


def _facts(frame: Frame) -> list[str]:
    if frame.type in (CALLERROR, CALLRESULTERROR):
        words = [f"{frame.error_code}", f"{frame.error_description}"[:200]]
        return [word for word in words if word] + facts_of(frame.error_details)
    return facts_of(frame.payload)
