"""kill -9 in the middle of puts: an object is complete or absent, and what was acknowledged is there."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from live777py.storage import LocalStorage, ObjectStorage, Spool, StoragePath
from live777py.storage.bucket import open_bucket
from tests.storage.contract import read
from tests.storage.crash_content import content
from tests.storage.s3 import settings

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 10

_PROGRAM = """
import asyncio, random, sys
from pathlib import Path
from live777py.storage import LocalStorage, ObjectStorage, Spool, StoragePath
from live777py.storage.bucket import open_bucket
from tests.storage.s3 import settings
from tests.storage.crash_content import content

kind, directory, port, bucket, round = sys.argv[1:]

async def record(storage, record):
    for number in range(10_000):
        for path in (record / f"v_seg_{number:04}.m4s", record / "manifest.mpd"):
            await storage.put(path, content(path, number))
            print(path, number, flush=True)

async def main():
    if kind == "local":
        storage = LocalStorage(Path(directory))
    else:
        bucket_ = ObjectStorage(open_bucket(settings(int(port), bucket)))
        storage = await Spool.open(bucket_, Path(directory), max_bytes=10**9, concurrency=4)
    await asyncio.gather(*(record(storage, StoragePath(f"cam{number}/{round}")) for number in range(4)))

asyncio.run(main())
"""


def crash(kind: str, directory: Path, port: int, bucket: str, round_: int) -> dict[StoragePath, int]:
    """What the process had acknowledged when it was killed: for each object the number of its last version."""
    arguments = [kind, str(directory), str(port), bucket, str(round_)]
    puts = random.Random(round_).randrange(5, 60)
    acknowledged: dict[StoragePath, int] = {}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # killed while it said so
            path, _, number = line.rpartition(" ")
            acknowledged[StoragePath(path)] = int(number)
            puts -= 1
            if puts == 0:
                process.kill()
        error = process.stderr.read()
    assert process.returncode == -9, error
    return acknowledged


async def assert_whole(storage: LocalStorage | ObjectStorage, acknowledged: dict[StoragePath, int]) -> None:
    """Every object is one of its versions, to the last byte, and no older one than was acknowledged."""
    found = {}
    for entry in await storage.list():
        data = await read(storage, entry.path)
        found[entry.path] = number = int(data.split(b" ", 1)[0])
        assert data == content(entry.path, number)
    assert all(found[path] >= number for path, number in acknowledged.items())


@pytest.mark.timeout(300)
async def test_a_directory(tmp_path: Path) -> None:
    acknowledged: dict[StoragePath, int] = {}
    for round_ in range(ROUNDS):
        acknowledged |= crash("local", tmp_path / "storage", 0, "", round_)
    storage = LocalStorage(tmp_path / "storage")
    await assert_whole(storage, acknowledged)
    await storage.close()


@pytest.mark.timeout(300)
async def test_a_spool(tmp_path: Path, s3_port: int, bucket: str) -> None:
    """It is killed while it writes and uploads; each successor goes on with what its predecessors have left."""
    acknowledged: dict[StoragePath, int] = {}
    for round_ in range(ROUNDS):
        acknowledged |= crash("spool", tmp_path / "spool", s3_port, bucket, round_)
    direct = ObjectStorage(open_bucket(settings(s3_port, bucket)))
    spool = await Spool.open(direct, tmp_path / "spool", max_bytes=10**9, concurrency=4)
    await spool.drained()
    assert spool.statistics.queued_bytes == 0
    left = [path for path in (tmp_path / "spool" / "objects").rglob("*") if path.is_file()]
    assert left == []
    await assert_whole(direct, acknowledged)
    await spool.close()
