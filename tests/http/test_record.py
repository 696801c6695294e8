"""Starting, asking and stopping; the lists; who may name which directory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from live777py.errors import NotFound, StorageFull
from live777py.recorder.index import RecordKey
from live777py.storage import StoragePath
from tests.http.doors import AUTH, STATIC_TOKEN, Door, OpenDoor, bearer, scoped
from tests.http.routes import ADMIN, JSON, READ, WRITE

if TYPE_CHECKING:
    from aiohttp import ClientResponse

KEY = {"stream": "cam", "record": "1718200000"}


async def record(door: Door, body: str | None = None, **headers: str) -> ClientResponse:
    content = {} if body is None else JSON
    return await door.ask("POST", "/api/record/cam", data=body, headers={**content, **headers})


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {}),
        (b"", JSON),
        (b"", {"Content-Type": "text/plain"}),
        (b"{}", JSON),
        (b'{"base_dir": null}', JSON),
        (b'{"base_dir": ""}', JSON),
        (b'{"other": 1}', {"Content-Type": "application/json; charset=utf-8"}),
    ],
)
async def test_the_body_is_optional(open_door: OpenDoor, body: bytes | None, headers: dict[str, str]) -> None:
    door = await open_door()
    response = await door.ask("POST", "/api/record/cam", data=body, headers=headers)
    assert (response.status, response.content_type) == (200, "application/json")
    answer: dict[str, Any] = await response.json()
    assert set(answer) == {"id", "record_id", "record_dir", "mpd_path"}
    assert answer["id"] == "cam"
    assert re.fullmatch("[0-9]{10}", answer["record_id"])
    assert answer["record_dir"] == f"cam/{answer['record_id']}"
    assert answer["mpd_path"] == f"{answer['record_dir']}/manifest.mpd"


@pytest.mark.parametrize(
    ("base_dir", "directory", "name"),
    [
        ("archive/2026", "archive/2026", ""),
        ("archive/2026/", "archive/2026", ""),
        ("archive/1718200000", "archive/1718200000", "1718200000"),
        ("größe", "größe", ""),
    ],
)
async def test_a_directory_of_ones_own(open_door: OpenDoor, base_dir: str, directory: str, name: str) -> None:
    door = await open_door()
    answer = await (await record(door, f'{{"base_dir": "{base_dir}"}}')).json()
    assert (answer["record_dir"], answer["record_id"]) == (directory, name)


@pytest.mark.parametrize(
    "base_dir",
    [
        "..",
        "../x",
        "a/../../x",
        "/etc",
        "//",
        "/",
        "a//b",
        "a/./b",
        ".",
        "a\\\\..\\\\b",
        "a\\u0000b",
        "a\\nb",
        "x" * 1000,
    ],
)
async def test_directories_that_lead_out_are_refused(open_door: OpenDoor, base_dir: str) -> None:
    door = await open_door()
    assert (await record(door, f'{{"base_dir": "{base_dir}"}}')).status == 400
    assert not door.recorder.recording("cam")


async def test_a_token_of_one_stream_stays_below_its_directory(open_door: OpenDoor) -> None:
    """Else it could write where another stream's recordings are."""
    door = await open_door(AUTH)
    own = scoped("cam", ADMIN)
    for base_dir in ("other/1718200000", "other", "camera"):
        response = await record(door, f'{{"base_dir": "{base_dir}"}}', **own)
        assert response.status == 403
    assert (await record(door, '{"base_dir": "cam/morning"}', **own)).status == 200
    door.recorder.published.add("third")
    response = await door.ask("POST", "/api/record/third", json={"base_dir": "other"}, headers=bearer(STATIC_TOKEN))
    assert response.status == 200


async def test_start_ask_stop(open_door: OpenDoor) -> None:
    door = await open_door()
    assert await (await door.ask("GET", "/api/record/cam")).json() == {"recording": False}
    first = await (await record(door)).json()
    assert await (await record(door)).json() == first
    assert await (await door.ask("GET", "/api/record/cam")).json() == {"recording": True}
    for _ in range(2):
        response = await door.ask("DELETE", "/api/record/cam")
        assert (response.status, await response.read()) == (200, b"")
    assert await (await door.ask("GET", "/api/record/cam")).json() == {"recording": False}


async def test_what_cannot_be_recorded(open_door: OpenDoor) -> None:
    door = await open_door()
    assert (await door.ask("POST", "/api/record/nobody")).status == 409
    door.recorder.failure = NotFound("no such stream")
    assert (await record(door)).status == 404
    door.recorder.failure = StorageFull("no space left on the disk")
    response = await record(door)
    assert (response.status, (await response.json())["detail"]) == (507, "no space left on the disk")


async def recordings(door: Door, query: str = "") -> dict[str, Any]:
    response = await door.ask("GET", f"/api/recordings{query}")
    assert response.status == 200
    value: dict[str, Any] = await response.json()
    return value


async def test_the_list(open_door: OpenDoor) -> None:
    door = await open_door()
    assert await recordings(door) == {"sessions": [], "last_ts": None}
    made = await door.recorder.made()
    await door.ask("POST", "/api/record/cam")
    listed = await recordings(door)
    ended, active = listed["sessions"]
    assert ended == {
        "id": "1718200000",
        "stream": "cam",
        "start_ts": 1_718_200_000_000_000,
        "end_ts": 1_718_200_010_000_000,
        "duration_ms": 10_000,
        "mpd_path": "cam/1718200000/manifest.mpd",
        "status": "Completed",
        "reason": "stopped",
        "bytes": 3000,
        "codecs": ["avc1.42e01f", "opus"],
    }
    assert (active["status"], active["end_ts"], active["duration_ms"]) == ("Active", None, None)
    assert (await recordings(door, f"?since_ts={made.updated_us}"))["sessions"] == [active]
    assert (await recordings(door, f"?since_ts={listed['last_ts']}")) == {"sessions": [], "last_ts": None}
    assert (await recordings(door, "?limit=1"))["last_ts"] == made.updated_us
    assert len((await recordings(door, "?limit=0&stream=cam"))["sessions"]) == 2
    assert (await recordings(door, "?stream=other"))["sessions"] == []
    assert (await recordings(door, "?status=Active"))["sessions"] == [active]
    assert (await recordings(door, "?status=Completed&stream=cam"))["sessions"] == [ended]


@pytest.mark.parametrize(
    "query", ["status=active", "limit=x", "limit=-1", "limit=", "since_ts=1.5", "since_ts=%D9%A1", "limit=9" * 20]
)
async def test_numbers_that_are_none(open_door: OpenDoor, query: str) -> None:
    door = await open_door()
    assert (await door.ask("GET", f"/api/recordings?{query}")).status == 400


async def test_acknowledge_and_forget(open_door: OpenDoor) -> None:
    door = await open_door()
    await door.recorder.made()
    names = {"records": [KEY, KEY, {"stream": "cam", "record": "none"}]}

    async def send(method: str) -> Any:
        return await (await door.ask(method, "/api/recordings", json=names)).json()

    assert await send("DELETE") == {"deleted": 0}
    assert await send("PATCH") == {"acked": 1}
    assert (await recordings(door))["sessions"] == []
    assert [entry["record"] for entry in await (await door.ask("GET", "/api/playback/cam")).json()] == ["1718200000"]
    assert await send("DELETE") == {"deleted": 1}
    assert await (await door.ask("GET", "/api/playback/cam")).json() == []
    assert (await door.ask("GET", "/api/record/object/cam/1718200000/v_init.m4s")).status == 200


@pytest.mark.parametrize("body", ["{}", '{"records": [{"stream": "cam"}]}', '{"records": [1]}'])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_names_that_are_none(open_door: OpenDoor, method: str, body: str) -> None:
    door = await open_door()
    assert (await door.ask(method, "/api/recordings", data=body, headers=JSON)).status == 422


async def test_playback(open_door: OpenDoor) -> None:
    door = await open_door()
    assert await (await door.ask("GET", "/api/playback")).json() == []
    for stream, name in (("b", "1718200000"), ("a", "1718200001"), ("b", "1718200002")):
        await door.recorder.made(stream, name)
    await record(door)
    assert await (await door.ask("GET", "/api/playback")).json() == ["a", "b"]
    entries = await (await door.ask("GET", "/api/playback/b")).json()
    assert [entry["record"] for entry in entries] == ["1718200000", "1718200002"]
    assert entries[0]["mpd_path"] == "b/1718200000/manifest.mpd"
    assert (entries[0]["duration_ms"], entries[0]["status"]) == (10_000, "Completed")
    assert await (await door.ask("GET", "/api/playback/cam")).json() == [], "nothing has been written yet"


async def test_delete_a_recording(open_door: OpenDoor) -> None:
    door = await open_door(AUTH)
    await door.recorder.made()
    await door.recorder.made(record="1718200001")
    path = "/api/recordings/cam/1718200000"
    for mode in (READ, WRITE):
        assert (await door.ask("DELETE", path, headers=scoped("cam", mode))).status == 403
    assert (await door.ask("DELETE", path, headers=scoped("cam", ADMIN))).status == 204
    assert (await door.ask("DELETE", path, headers=scoped("cam", ADMIN))).status == 404
    assert await door.storage.list(StoragePath("cam/1718200000")) == []
    assert len(await door.storage.list()) == 4
    assert [recording.record for recording in await door.index.all()] == ["1718200001"]


async def test_one_that_is_being_recorded_is_not_deleted(open_door: OpenDoor) -> None:
    door = await open_door()
    name = (await (await record(door)).json())["record_id"]
    assert (await door.ask("DELETE", f"/api/recordings/cam/{name}")).status == 409
    assert (await door.index.find(RecordKey("cam", name))).active


async def test_what_others_keep_below_stays(open_door: OpenDoor) -> None:
    """The index was told to forget a recording; a later one has its directory above it."""
    door = await open_door()
    first = await door.recorder.made()
    await door.index.ack([first.key])
    await door.index.forget_acked([first.key])
    await door.recorder.made(record="1718200001", directory="cam")
    assert (await door.ask("DELETE", "/api/recordings/cam/1718200001")).status == 204
    assert {entry.path.parent for entry in await door.storage.list()} == {"cam/1718200000"}
