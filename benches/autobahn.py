"""Row 30: the cases of the Autobahn test suite, run by kosoku against the OCPP port and against bare picows.

    make conformance      or, after `pip install kosoku`: python benches/autobahn.py [CASE ...], for example 1.* 7.1.2

Three servers echo what they get: bare picows; the port that `OcppServer` listens on, with a limit that lets the long
cases through; and the same with binary messages let through, which OCPP-J does not have and the port closes with 1003.
Ends with 1 where the port fails a case that bare picows passes, other than by that 1003.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

LIMIT = 32 << 20
BARE, PORT, BINARY = "bare picows", "the OCPP port", "the same, binary let through"
GOOD, GOOD_CLOSE = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}, {"OK", "INFORMATIONAL"}


async def serve(kind: str) -> None:
    """One of the servers: says its port, ends with its stdin."""
    server, port = await (serve_picows() if kind == BARE else serve_port(binary=kind == BINARY))
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    del server


async def serve_picows() -> tuple[Any, int]:
    from picows import WSListener, WSMsgType, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
                transport.send(frame.msg_type, frame.get_payload_as_bytes(), bool(frame.fin), bool(frame.rsv1))

    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", 0, max_frame_size=LIMIT)
    return server, server.sockets[0].getsockname()[1]


class Echo:
    def opened(self, connection: Any) -> None:
        self.connection = connection

    def received(self, data: bytes) -> None:
        self.connection.send(data)

    def closed(self, code: int, reason: str) -> None:
        pass


async def serve_port(*, binary: bool) -> tuple[Any, int]:
    from evcore.ocpp.websocket import listen

    if binary:
        let_binary_through()
    door = await listen("127.0.0.1", 0, lambda *request: Echo(), default_subprotocol="ocpp1.6", limit=LIMIT)
    return door, door.port


def let_binary_through() -> None:
    """Take the rule of OCPP-J away, so that cases which only have binary messages judge all the rest."""
    from picows import WSMsgType

    from evcore.ocpp import joiner
    from evcore.ocpp.websocket import connection, server

    class Untyped(joiner.Joiner):
        __slots__ = ("opcode",)

        def feed(self, opcode: int, *rest: Any) -> bytes | None:
            if opcode != joiner.CONTINUATION:
                self.opcode = opcode
            if self.opcode == joiner.TEXT:
                return super().feed(opcode, *rest)
            judged, joiner.whole = joiner.whole, lambda message, limit: message
            try:
                return super().feed(joiner.TEXT if opcode == joiner.BINARY else opcode, *rest)
            finally:
                joiner.whole = judged

    class Typed(connection.Connection):
        __slots__ = ("opcode",)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.opcode = frame.msg_type
            super().on_ws_frame(transport, frame)

        def send(self, data: bytes) -> None:
            kind, connection._TEXT = connection._TEXT, self.opcode
            try:
                super().send(data)
            finally:
                connection._TEXT = kind

    connection.Joiner, server.Connection = Untyped, Typed  # type: ignore[misc]


def run_cases(kind: str, cases: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Case -> kosoku's report."""
    command = [sys.executable, __file__, "serve", kind]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        address = f"127.0.0.1:{server.stdout.readline().strip()}/CP1"
        wanted = [part for case in cases for part in ("-i", case)]
        kosoku = str(Path(sys.executable).with_name("kosoku"))
        subprocess.run([kosoku, address, "-o", str(folder), *wanted], capture_output=True, check=False)
    finally:
        server.kill()
        server.wait()
    reports = [json.loads(file.read_text()) for file in folder.glob("*_case_*.json")]
    return {report["id"]: report for report in reports}


def passes(report: dict[str, Any]) -> bool:
    return report["behavior"] in GOOD and report["behaviorClose"] in GOOD_CLOSE


def order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2]))
        return 0
    found = {}
    print(f"Autobahn cases by kosoku {importlib.metadata.version('kosoku')}")
    for kind in (BARE, PORT, BINARY):
        with tempfile.TemporaryDirectory() as folder:
            found[kind] = run_cases(kind, sys.argv[1:], Path(folder))
        verdicts = Counter(report["behavior"] for report in found[kind].values())
        failed = sum(not passes(report) for report in found[kind].values())
        shown = ", ".join(f"{name.lower()} {count}" for name, count in sorted(verdicts.items()))
        print(f"{kind}: {len(found[kind])} cases, {failed} failed ({shown})", flush=True)
    broken = [case for case in found[PORT] if "ERROR" in (found[kind][case]["behavior"] for kind in (PORT, BINARY))]
    worse, refused = [], []
    for case in sorted(found[PORT], key=order):
        ours, bare, binary = found[PORT][case], found[BARE][case], found[BINARY][case]
        if case in broken or passes(ours) or not passes(bare):
            continue
        if ours["remoteCloseCode"] == 1003 and passes(binary):
            refused.append(case)
        else:
            worse.append(f"  {case}: {ours['behavior']}, {ours['behaviorClose']}: {ours['result']}"[:150])
    both = [case for case, report in found[PORT].items() if not passes(report) and not passes(found[BARE][case])]
    print(f"kosoku itself fails in {len(broken)}: {', '.join(sorted(broken, key=order)) or '-'}")
    print(f"failed by both: {', '.join(sorted(both, key=order)) or '-'}")
    print(f"binary, closed with 1003 as OCPP-J wants, passed where let through: {len(refused)}")
    print(f"failed by the OCPP port and not by bare picows: {len(worse)}")
    print("\n".join(worse))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
