"""The server-sent events extension of WHEP, by the rows of its checklist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from live777py.streams.views import LayerView
from tests.fakes.streams import FakeStreams
from tests.http.doors import AUTH, READ_ONLY, scoped
from tests.http.events import Listener

if TYPE_CHECKING:
    from tests.http.doors import Door, OpenDoor


@pytest.fixture
def simulcast() -> FakeStreams:
    streams = FakeStreams()
    streams.encodings = [
        LayerView(encoding_id=rid, width=width, height=width // 2, bitrate=width, active=True, selected=False)
        for rid, width in (("f", 1280), ("q", 320))
    ]
    return streams


async def _events(door: Door, location: str, types: list[str] | None = None, query: str = "") -> Listener:
    made = await door.ask("POST", f"{location}/events{query}", json=types)
    assert made.status == 201
    return await Listener.open(door, made.headers["Location"])


async def test_x01_and_x09_links_of_a_simulcast_viewer(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door('[[ice_servers]]\nurls = ["stun:stun.example.org"]\n', streams=simulcast)
    response = await door.play("gr%C3%B6%C3%9Fe")
    session = response.headers["Location"]
    assert response.headers.getall("Link") == [
        '<stun:stun.example.org>; rel="ice-server"',
        f'<{session}/layer>; rel="urn:ietf:params:whep:ext:core:layer"',
        (
            f'<{session}/events?video=0>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; '
            'events="active,inactive,layers,viewercount"'
        ),
    ]
    assert session.startswith("/session/gr%C3%B6%C3%9Fe/")


async def test_no_links_without_simulcast_and_none_for_publishers(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    assert "Link" not in (await (await open_door()).play()).headers
    assert "Link" not in (await (await open_door(streams=simulcast)).publish()).headers


async def test_the_links_name_the_video_section(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    simulcast.answer = "v=0\r\nm=audio 9 X 1\r\na=m=video \r\nm=application 9 X 1\r\nm=video 9 X 1\r\n"
    assert "/events?video=2>" in (await door.play()).headers.getall("Link")[1]


async def test_x02_x04_x06_state_first(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    await door.publish()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, query="?video=1")
    assert await listener.event() == ("active", {})
    assert await listener.event() == ("viewercount", {"viewercount": 1})
    assert await listener.event() == (
        "layers",
        {
            "1": [
                {"rid": "f", "bitrate": 1280, "width": 1280, "height": 640},
                {"rid": "q", "bitrate": 320, "width": 320, "height": 160},
            ]
        },
    )


async def test_x06_no_inactive_before_an_active(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["active", "inactive"])
    publisher = (await door.publish()).headers["Location"].rpartition("/")[2]
    door.streams.changed()
    assert await listener.event() == ("active", {})
    door.streams.lose_publisher("cam", publisher)
    door.streams.changed()
    assert await listener.event() == ("inactive", {})
    again = await _events(door, location, ["active", "inactive", "viewercount"])
    assert (await again.event())[0] == "viewercount"


async def test_a_listener_that_comes_back_hears_that_it_is_over(open_door: OpenDoor) -> None:
    door = await open_door()
    publisher = (await door.publish()).headers["Location"].rpartition("/")[2]
    location = (await door.play()).headers["Location"]
    made = await door.ask("POST", f"{location}/events", json=["active", "inactive"])
    first = await Listener.open(door, made.headers["Location"])
    assert await first.event() == ("active", {})
    first.response.close()
    door.streams.lose_publisher("cam", publisher)
    second = await Listener.open(door, made.headers["Location"])
    assert await second.event() == ("inactive", {})


async def test_x03_unknown_types_are_400(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    for body in (["active", "scte35"], ["<b>"], [""]):
        assert (await door.ask("POST", f"{location}/events", json=body)).status == 400
    for query in ("?video=x", "?video=-1", "?video=1000", "?video=%C2%B2"):
        assert (await door.ask("POST", f"{location}/events{query}")).status == 400


async def test_x05_only_the_types_asked_for(open_door: OpenDoor) -> None:
    door = await open_door()
    await door.publish()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["viewercount"])
    for count in (1, 2, 3):
        assert await listener.event() == ("viewercount", {"viewercount": count})
        await door.play()
        door.streams.changed()


async def test_x05_delete_ends_it(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    made = (await door.ask("POST", f"{location}/events")).headers["Location"]
    listener = await Listener.open(door, made)
    assert (await listener.event())[0] == "viewercount"
    assert (await door.ask("DELETE", made)).status == 204
    assert await listener.line() == ""
    for method in ("GET", "DELETE"):
        assert (await door.ask(method, made)).status == 404
    assert door.streams.bus.subscriptions == 0


async def test_x05_it_ends_with_the_session(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    made = (await door.ask("POST", f"{location}/events")).headers["Location"]
    listener = await Listener.open(door, made)
    await listener.event()
    await door.ask("DELETE", location)
    door.streams.changed()
    assert await listener.line() == ""
    assert (await door.ask("GET", made)).status == 404


async def test_a_second_listener_takes_over(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    made = (await door.ask("POST", f"{location}/events")).headers["Location"]
    first = await Listener.open(door, made)
    second = await Listener.open(door, made)
    assert await second.event() == ("viewercount", {"viewercount": 1})
    await first.event()
    assert await first.line() == ""


async def test_a_rate_alone_is_no_event(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["layers"])
    await listener.event()
    first, second = simulcast.encodings
    simulcast.encodings = [_changed(first, bitrate=5), second]
    door.streams.changed()
    simulcast.encodings = [_changed(first, width=640), second]
    door.streams.changed()
    assert (await listener.event())[1]["0"][0]["width"] == 640


def _changed(layer: LayerView, **members: int) -> LayerView:
    return LayerView(**{name: getattr(layer, name) for name in layer.__struct_fields__} | members)


async def test_the_address_is_the_credential(open_door: OpenDoor) -> None:
    """P16: EventSource cannot send a token, so what it opens must not be guessed."""
    door = await open_door(AUTH)
    mine, yours = scoped("cam", READ_ONLY, sub="me"), scoped("cam", READ_ONLY, sub="you")
    location = (await door.play("cam", **mine)).headers["Location"]
    assert (await door.ask("POST", f"{location}/events")).status == 401
    assert (await door.ask("POST", f"{location}/events", headers=yours)).status == 404
    made = (await door.ask("POST", f"{location}/events", headers=mine)).headers["Location"]
    assert re.fullmatch(rf"{location}/events/[A-Za-z0-9_-]{{22}}", made)
    assert (await door.ask("GET", made)).status == 200
    elsewhere = made.replace("/cam/", "/other/")
    assert (await door.ask("GET", elsewhere)).status == 404
    assert (await door.ask("GET", made[:-1])).status == 404


async def test_a_session_keeps_four_at_most(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    made = [(await door.ask("POST", f"{location}/events")).headers["Location"] for _ in range(5)]
    assert [(await door.ask("GET", path)).status for path in made] == [404, 200, 200, 200, 200]


async def test_a_publisher_has_no_events(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.publish()).headers["Location"]
    assert (await door.ask("POST", f"{location}/events")).status == 404


async def test_shutdown_ends_them(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location)
    await listener.event()
    await door.app.shutdown()
    assert await listener.line() == ""
