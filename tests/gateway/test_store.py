import asyncio
import os
import stat
import subprocess
import sys
import threading

import pytest

from evcore.errors import StoreError
from evcore.gateway.store import Store

PUT = "INSERT INTO tokens VALUES (?, ?, 'Accepted', NULL, NULL, '')"


def put(name):
    return lambda conn: conn.execute(PUT, (name, name)).rowcount


def names(conn):
    return [row[0] for row in conn.execute("SELECT folded FROM tokens ORDER BY folded")]


async def hold(store):
    """Keep the writer thread busy; the result lets it go."""
    entered, go = threading.Event(), threading.Event()

    def wait(conn):
        entered.set()
        go.wait(10)

    task = asyncio.ensure_future(store.read(wait))
    assert await asyncio.to_thread(entered.wait, 10)

    async def release():
        go.set()
        await task

    return release


async def test_what_was_written_is_there_after_a_reopen(tmp_path):
    store = Store(tmp_path / "site.db")
    await store.open()
    assert await store.write(put("a")) == 1
    await store.close()
    await store.open()
    assert await store.read(names) == ["a"]
    await store.close()


async def test_writers_that_wait_share_one_commit(store):
    release = await hold(store)
    tasks = [asyncio.ensure_future(store.write(put(f"{n:03}"))) for n in range(200)]
    await asyncio.sleep(0)
    before = store.commits
    await release()
    await asyncio.gather(*tasks)
    assert store.commits - before == 1
    assert len(await store.read(names)) == 200


async def test_a_group_is_bounded(tmp_path):
    store = Store(tmp_path / "site.db", group=50)
    await store.open()
    release = await hold(store)
    tasks = [asyncio.ensure_future(store.write(put(f"{n:03}"))) for n in range(200)]
    await asyncio.sleep(0)
    await release()
    await asyncio.gather(*tasks)
    assert store.commits == 4
    await store.close()


async def test_a_failing_work_undoes_only_itself(store):
    def half(conn):
        put("half")(conn)
        raise ValueError("no")

    release = await hold(store)
    works = [put("a"), half, put("b"), put("a"), put("c")]  # the fourth breaks the primary key
    tasks = [asyncio.ensure_future(store.write(work)) for work in works]
    await asyncio.sleep(0)
    await release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, ValueError, int, StoreError, int]
    assert "UNIQUE" in str(results[3])
    assert store.commits == 1
    assert await store.read(names) == ["a", "b", "c"]


@pytest.mark.parametrize("error", [StopIteration, KeyboardInterrupt, SystemExit])
async def test_nothing_that_a_work_raises_stops_the_writer(store, error):
    def bad(conn):
        raise error

    with pytest.raises(RuntimeError):
        await store.write(bad)
    with pytest.raises(RuntimeError):
        await store.read(bad)
    assert await store.write(put("a")) == 1


async def test_a_work_that_ends_the_transaction_is_refused_and_the_store_goes_on(store):
    with pytest.raises(StoreError):
        await store.write(lambda conn: conn.execute("ROLLBACK"))
    assert store.trouble
    await store.write(put("a"))
    assert store.trouble == ""
    assert await store.read(names) == ["a"]


async def test_a_read_sees_the_write_asked_for_before_it_and_cannot_write(store):
    write = asyncio.ensure_future(store.write(put("a")))
    read = asyncio.ensure_future(store.read(names))
    assert await read == ["a"]
    await write
    with pytest.raises(StoreError, match="readonly"):
        await store.read(put("b"))
    assert await store.write(put("c")) == 1


async def test_more_writers_than_the_queue_holds_wait_and_are_all_served(tmp_path):
    store = Store(tmp_path / "site.db", queue=10)
    await store.open()
    release = await hold(store)
    tasks = [asyncio.ensure_future(store.write(put(f"{n:03}"))) for n in range(100)]
    await asyncio.sleep(0.01)
    assert store._jobs.qsize() <= 10
    await release()
    await asyncio.gather(*tasks)
    assert len(await store.read(names)) == 100
    await store.close()


async def test_a_cancelled_caller_takes_nothing_with_it(store):
    release = await hold(store)
    gone = asyncio.ensure_future(store.write(put("gone")))
    stays = asyncio.ensure_future(store.write(put("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await release()
    await stays
    assert "stays" in await store.read(names)


async def test_close_finishes_what_waits_and_later_calls_are_refused(tmp_path):
    store = Store(tmp_path / "site.db")
    await store.open()
    release = await hold(store)
    writes = [asyncio.ensure_future(store.write(put(str(n)))) for n in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="closed"):
        await store.write(put("late"))
    await release()
    await closing
    assert await asyncio.gather(*writes) == [1] * 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store ")]
    assert not (tmp_path / "site.db-wal").exists()
    await store.close()  # harmless


async def test_a_signal_is_set_after_a_commit_that_wakes_it_and_by_no_failed_one(store):
    signal = store.signal("news")
    with pytest.raises(StoreError):
        await store.write(lambda conn: conn.execute("INSERT INTO nothing VALUES (1)"), wakes="news")
    await store.write(put("a"))
    assert not signal.is_set()
    await store.write(put("b"), wakes="news")
    assert signal.is_set()


async def test_the_settings_that_durability_rests_on_are_in_force(store):
    def settings(conn):
        return {
            name: conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "locking_mode")
        }

    assert await store.read(settings) == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "locking_mode": "exclusive",
    }
    assert stat.S_IMODE(os.stat(store.path).st_mode) == 0o600


async def test_a_second_program_is_refused_while_the_file_is_in_use(store):
    second = Store(store.path, busy_s=0.05)
    with pytest.raises(StoreError, match="another process"):
        await second.open()
    assert await store.write(put("a")) == 1


async def test_a_backup_is_a_whole_database(store, tmp_path):
    await store.write(put("a"))
    await store.backup(tmp_path / "copy.db")
    copy = Store(tmp_path / "copy.db")
    await copy.open()
    assert await copy.read(names) == ["a"]
    await copy.close()


async def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "site.db"
    path.write_bytes(b"[site]\nname = 'x'\n" * 100)
    store = Store(path)
    with pytest.raises(StoreError, match=r"site\.db: is no SQLite database"):
        await store.open()
    assert path.read_bytes().startswith(b"[site]")
    path.unlink()
    await store.open()  # the same object serves once the file is right
    await store.close()


async def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "site.db"
    store = Store(path)
    await store.open()
    await store.write(lambda conn: [put(f"{n:0100}")(conn) for n in range(1000)] and None)
    await store.close()
    whole = bytearray(path.read_bytes())
    for page in range(20, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 512] = os.urandom(512)
    path.write_bytes(whole)
    with pytest.raises(StoreError, match="damaged"):
        await store.open()


async def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(StoreError, match="No such file or directory"):
        await Store(tmp_path / "no" / "site.db").open()


READ_ONLY = """
import asyncio, os, sys
from evcore.errors import StoreError
from evcore.gateway.store import Store
if os.getuid() == 0:
    os.setuid(65534)
try:
    asyncio.run(Store(sys.argv[1]).open())
except StoreError as error:
    print(error)
"""


async def test_a_file_that_may_not_be_written_is_refused_at_start(tmp_path):
    path = tmp_path / "site.db"
    store = Store(path)
    await store.open()
    await store.close()
    path.chmod(0o444)
    folder = tmp_path
    while folder != folder.parent:  # the user of the child must reach the file
        if folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o011)
        folder = folder.parent
    child = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", READ_ONLY, path], capture_output=True, text=True
    )
    assert "Permission denied" in child.stdout, child.stderr


async def test_a_full_disk_acknowledges_nothing_of_the_group_and_serves_again_when_there_is_room(small_disk):
    store = Store(small_disk / "site.db")
    await store.open()
    await store.write(put("before"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))

    def large(conn):
        for n in range(3000):
            put(f"large{n:0100}")(conn)

    release = await hold(store)
    tasks = [asyncio.ensure_future(store.write(work)) for work in (put("with it"), large, put("after it"))]
    await asyncio.sleep(0)
    await release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StoreError] * 3
    assert "full" in str(results[1])
    assert "full" in store.trouble
    assert await store.read(names) == ["before"]

    ballast.unlink()
    await store.write(put("again"))
    assert store.trouble == ""
    await store.close()
    await store.open()
    assert await store.read(names) == ["again", "before"]
    await store.close()


async def test_a_database_at_its_page_limit_behaves_like_a_full_disk(store):
    def limit(pages):
        return lambda conn: conn.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0]

    def large(conn):
        for n in range(3000):
            put(f"large{n:0100}")(conn)

    await store.write(put("before"))
    await store.read(limit(1))
    with pytest.raises(StoreError, match="full"):
        await store.write(large)
    assert await store.read(names) == ["before"]
    await store.read(limit(100_000))
    await store.write(large)
    assert len(await store.read(names)) == 3001


async def test_a_file_that_turns_read_only_acknowledges_nothing(store):
    await store.write(put("before"))
    remount = store._run

    def read_only(conn, jobs):
        conn.execute("PRAGMA query_only = ON")
        store._commit(conn, jobs)
        conn.execute("PRAGMA query_only = OFF")

    store._run = read_only
    with pytest.raises(StoreError, match="readonly"):
        await store.write(put("lost"))
    store._run = remount
    await store.write(put("after"))
    assert await store.read(names) == ["after", "before"]
