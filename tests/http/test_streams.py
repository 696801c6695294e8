"""Live777's stream API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.streams import CREATED_AT, FakeStreams

if TYPE_CHECKING:
    from tests.http.doors import OpenDoor

STATS = {"bytes": 0, "packets": 0, "bitrate": 0}


async def test_json_is_live777s(open_door: OpenDoor) -> None:
    door = await open_door()
    session = (await door.publish()).headers["Location"].rpartition("/")[2]
    expected = {
        "id": "cam",
        "createdAt": CREATED_AT,
        "publish": {
            "leaveAt": 0,
            "sessions": [
                {
                    "id": session,
                    "createdAt": CREATED_AT,
                    "leaveAt": 0,
                    "state": "connected",
                    "hasDataChannel": False,
                    "stats": STATS,
                }
            ],
        },
        "subscribe": {"leaveAt": CREATED_AT, "sessions": []},
        "codecs": [{"kind": "video", "codec": "h264", "fmtp": "packetization-mode=1"}],
        "provisioned": False,
        "onDemand": False,
        "stats": {"publish": STATS, "subscribe": STATS},
        "statsScope": "node",
    }
    assert await (await door.ask("GET", "/api/streams/cam")).json() == expected
    assert await (await door.ask("GET", "/api/streams/")).json() == [expected]


async def test_create_see_delete(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(provisioned=["fixed"]))
    answers = [
        (await door.ask(method, path)).status
        for method, path in [
            ("POST", "/api/streams/new"),
            ("POST", "/api/streams/new"),
            ("GET", "/api/streams/new"),
            ("HEAD", "/api/streams/new"),
            ("DELETE", "/api/streams/new"),
            ("DELETE", "/api/streams/new"),
            ("GET", "/api/streams/new"),
            ("POST", "/api/streams/fixed"),
            ("DELETE", "/api/streams/fixed"),
        ]
    ]
    assert answers == [204, 409, 200, 200, 204, 404, 404, 409, 409]


async def test_the_list_can_be_filtered(open_door: OpenDoor) -> None:
    door = await open_door(streams=FakeStreams(provisioned=["a", "b", "c"]))
    response = await door.ask("GET", "/api/streams/?streams=a&streams=c&streams=x")
    assert [stream["id"] for stream in await response.json()] == ["a", "c"]
