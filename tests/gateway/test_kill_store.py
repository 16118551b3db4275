"""What was answered is on disk: the writer is killed at random moments, or the power is cut, or a sync fails.

EVCORE_KILLS: how many kills (15); the long run takes 200.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evcore.gateway.store import Store

KILLS = int(os.environ.get("EVCORE_KILLS", "15"))
CHILD = Path(__file__).parent / "child_writer.py"
STATIONS = [f"CP{n}" for n in range(8)]
PER_SESSION = 5
FOR_EVER = 10**9


class Stations:
    """What the stations know: their own log of the answers that they got."""

    def __init__(self):
        self.next = {station: [0, None] for station in STATIONS}
        self.answered = set()

    def start(self, path, last=FOR_EVER, **env):
        return subprocess.Popen(
            [sys.executable, CHILD, path, json.dumps(self.next), str(last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env},
        )

    def hear(self, output: bytes):
        for line in output.split(b"\n")[:-1]:  # half a line is no answer
            station, number, transaction, _ = json.loads(line)
            self.answered.add((station, number))
            self.next[station] = [number + 1, transaction]

    def kill_after(self, path, seconds, *, answers=True, **env):
        """answers: the time begins with the first answer; else with the process, which may still be starting."""
        child = self.start(path, **env)
        first = os.read(child.stdout.fileno(), 1 << 16) if answers else b""
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        output, errors = child.communicate(timeout=60)
        timer.join()
        assert not errors, errors.decode()
        self.hear(first + output)


async def records_of(path):
    """(station, number) of every record on disk, as often as it is there, and what else must hold of any file."""
    store = Store(path)
    await store.open()
    payloads = await store.read(
        lambda conn: conn.execute(
            "SELECT coalesce(r.payload, p.payload) FROM records r LEFT JOIN payloads p USING (session, seq, digest)"
        ).fetchall()
    )
    found = [payload.decode().split() for (payload,) in payloads]
    damage = await store.read(lambda conn: conn.execute("PRAGMA integrity_check").fetchall())
    assert damage == [("ok",)]
    assert await store.read(lambda conn: conn.execute("PRAGMA foreign_key_check").fetchall()) == []
    heads = await store.read(
        lambda conn: conn.execute("SELECT sum(head), count(DISTINCT order_key) FROM outbox").fetchone()
    )
    assert (heads[0] or 0) == heads[1]
    await store.close()
    return [(station, int(number)) for station, number in found]


def assert_nothing_lost_or_doubled(answered, found):
    assert len(found) == len(set(found))
    assert answered - set(found) == set()


@pytest.mark.timeout(60 + 3 * KILLS)
async def test_no_answered_record_is_lost_or_doubled_by_kills_at_random_moments(tmp_path):
    path, stations = tmp_path / "site.db", Stations()
    moments = random.Random(20261123)
    for kill in range(KILLS):
        answers = kill % 3 > 0
        await asyncio.to_thread(stations.kill_after, path, moments.uniform(0, 0.3), answers=answers)
    assert len(stations.answered) > 100
    assert_nothing_lost_or_doubled(stations.answered, await records_of(path))

    # The stations go on where they were, and end the sessions that they were in.
    last = max(number for number, _ in stations.next.values()) // PER_SESSION * PER_SESSION + PER_SESSION - 1
    child = stations.start(path, last)
    output, errors = await asyncio.to_thread(child.communicate, timeout=60)
    assert not errors, errors.decode()
    stations.hear(output)
    found = await records_of(path)
    assert sorted(found) == [(station, number) for station in STATIONS for number in range(last + 1)]
    store = Store(path)
    await store.open()
    sessions = await store.read(
        lambda conn: conn.execute("SELECT state, energy_wh, count(*) FROM sessions GROUP BY 1, 2").fetchall()
    )
    assert sessions == [("ended", str(PER_SESSION - 1), (last + 1) // PER_SESSION * len(STATIONS))]
    assert await store.read(lambda conn: conn.execute("SELECT count(*) FROM records WHERE conflict").fetchone()) == (0,)
    await store.close()


@pytest.fixture(scope="module")
def disk(tmp_path_factory, program):
    """The library that stands between SQLite and the disk."""
    built = tmp_path_factory.mktemp("disk") / "disk.so"
    source = Path(__file__).parent / "disk.c"
    subprocess.run([program("cc"), "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


def crash_state(real: Path, shadow: Path, made: Path, chance: random.Random):
    """One of the states that a power cut may leave: what was synced, and of what was written since, any sectors."""
    made.mkdir()
    share = chance.choice([0.0, 0.1, 0.5, 0.9])
    for name in ("site.db", "site.db-wal"):
        if not (shadow / name).exists():
            continue
        durable, written = (shadow / name).read_bytes(), (real / name).read_bytes()
        length = chance.randint(min(len(durable), len(written)), max(len(durable), len(written)))
        image = bytearray(durable[:length].ljust(length, b"\0"))
        for at in range(0, min(length, len(written)), 512):
            if chance.random() < share:
                image[at : at + 512] = written[at : at + 512][: length - at]
        (made / name).write_bytes(image)


@pytest.mark.timeout(60 + 3 * KILLS)
async def test_no_answered_record_is_lost_by_a_power_cut(tmp_path, disk):
    chance = random.Random(20261123)
    real, shadow = tmp_path / "real", tmp_path / "shadow"
    real.mkdir()
    shadow.mkdir()
    stations = Stations()
    env = {"LD_PRELOAD": str(disk), "EVCORE_DATA": str(real), "EVCORE_SHADOW": str(shadow)}
    for _ in range(max(3, KILLS // 5)):
        await asyncio.to_thread(stations.kill_after, real / "site.db", chance.uniform(0, 0.5), **env)
        made = tmp_path / "crashed"
        for _ in range(8):
            shutil.rmtree(made, ignore_errors=True)
            crash_state(real, shadow, made, chance)
            assert_nothing_lost_or_doubled(stations.answered, await records_of(made / "site.db"))
        # The next life begins from the last of these states, which is on disk.
        for name in ("site.db", "site.db-wal"):
            (real / name).unlink(missing_ok=True)
            (shadow / name).unlink(missing_ok=True)
        for folder in (real, shadow):
            shutil.copy(made / "site.db", folder)
    assert len(stations.answered) > 100


FAILING = """
import asyncio, ctypes, json, random, sys
from evcore.errors import StoreError
from evcore.gateway.store import Store

disk, chance = ctypes.CDLL(None), random.Random(7)
PUT = "INSERT INTO tokens VALUES (?, ?, 'Accepted', NULL, NULL, '')"

def names(conn):
    return [row[0] for row in conn.execute("SELECT folded FROM tokens ORDER BY folded")]

async def main():
    store = Store(sys.argv[1])
    await store.open()
    await store.read(lambda conn: conn.execute("PRAGMA wal_autocheckpoint = 5").fetchall())
    kept, refused = [], 0
    for n in range(300):
        disk.evcore_fail_sync(chance.randint(1, 6))
        name = f"{n:03}"
        before = ctypes.c_int.in_dll(disk, "evcore_syncs").value
        try:
            await store.write(lambda conn: conn.execute(PUT, (name, "x" * 500)).rowcount)
        except StoreError as error:
            assert "I/O" in str(error) and store.trouble, error
            refused += 1
            assert name not in await store.read(names)
        else:
            assert ctypes.c_int.in_dll(disk, "evcore_syncs").value > before
            kept.append(name)
    disk.evcore_fail_sync(0)
    await store.close()
    await store.open()
    found = await store.read(names)
    assert found == kept, set(found) ^ set(kept)
    print(len(kept), refused)

asyncio.run(main())
"""


async def test_a_sync_that_fails_is_an_answer_that_is_not_given(tmp_path, disk):
    env = {**os.environ, "LD_PRELOAD": str(disk), "EVCORE_DATA": str(tmp_path)}
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FAILING, tmp_path / "site.db"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    kept, refused = map(int, child.stdout.split())
    assert kept > 50
    assert refused > 50
