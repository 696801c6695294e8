"""The index file of a Live777 that was here before: its recordings are in our index from then on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from live777py.errors import BadRequest, StartError
from live777py.recorder.index import STATUSES, Recording
from live777py.storage import StoragePath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from live777py.storage import Storage

ACKED: Final = "Acked"


class IndexLine(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix microseconds."""

    record: str
    stream: str
    record_dir: str
    mpd_path: str
    start_ts: int
    end_ts: int | None = None
    duration_ms: int | None = None
    status: str
    node_alias: str | None = None
    updated_at: int


async def read_index(path: Path, storage: Storage) -> list[Recording]:
    """What the file says; nothing without one. Raises StartError for a file that is no index, and StorageError."""
    try:
        lines = await asyncio.to_thread(lambda: list(_read(path)))
        # The file grows by a line for each change of a recording.
        newest = {(line.stream, line.record): line for line in lines}
        return [await _recording(line, storage) for line in newest.values()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, BadRequest) as error:
        raise StartError(f"{path} is not an index of recordings, so it is left as it is: {error}") from None


def _read(path: Path) -> Iterator[IndexLine]:
    """One object a line, or, of old versions, one array."""
    content = path.read_bytes().strip()
    if content.startswith(b"["):
        yield from msgspec.json.decode(content, type=list[IndexLine])
    else:
        for line in content.splitlines():
            if line.strip():
                yield msgspec.json.decode(line, type=IndexLine)


async def _recording(line: IndexLine, storage: Storage) -> Recording:
    directory = StoragePath(line.record_dir.strip("/"))
    return Recording(
        stream=line.stream,
        record=line.record,
        directory=str(directory),
        start_us=line.start_ts,
        end_us=line.end_ts,
        duration_ms=line.duration_ms or 0,
        status=next((status for status in STATUSES if status == line.status), "Completed"),
        bytes=sum(entry.size for entry in await storage.list(directory)),
        acked=line.status == ACKED,
    )
