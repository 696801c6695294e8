"""The server-sent events extension of WHEP, by the rows of its checklist."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

import pytest

from live777py.http import viewer_events
from live777py.http.access_log import LOGGER
from live777py.streams.events import PublishStarted, StreamDeleted, SubscriberLeft
from live777py.streams.layers import Layer
from live777py.streams.views import CascadeView, LayerView
from tests.fakes.nodes import FakeNodes
from tests.fakes.streams import FakeStreams
from tests.http.doors import AUTH, READ_ONLY, scoped
from tests.http.events import Listener

if TYPE_CHECKING:
    from live777py.streams.views import StreamView
    from tests.http.doors import Door, OpenDoor


@pytest.fixture
def simulcast() -> FakeStreams:
    streams = FakeStreams()
    streams.encodings = [
        LayerView(encoding_id=rid, width=width, height=width // 2, bitrate=width, active=True, selected=False)
        for rid, width in (("f", 1280), ("q", 320))
    ]
    return streams


async def _events(door: Door, location: str, types: list[str] | None = None) -> Listener:
    made = await door.ask("POST", f"{location}/events", json=types)
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
            f'<{session}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; '
            'events="active,inactive,layers,reconnect,viewercount"'
        ),
    ]
    assert session.startswith("/session/gr%C3%B6%C3%9Fe/")


async def test_publishers_have_neither_and_viewers_without_video_no_layers(open_door: OpenDoor) -> None:
    door = await open_door()
    assert "Link" not in (await door.publish()).headers
    door.streams.video = None
    (link,) = (await door.play()).headers.getall("Link")
    assert "server-sent-events" in link


async def test_x02_x04_x06_state_first(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    await door.publish()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location)
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


async def test_head_leaves_the_listener_alone(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    made = await door.ask("POST", f"{location}/events", json=["active"])
    listener = await Listener.open(door, made.headers["Location"])
    head = await door.ask("HEAD", made.headers["Location"])
    assert (head.status, head.content_type) == (200, "text/event-stream")
    assert (await door.ask("HEAD", made.headers["Location"] + "x")).status == 404
    await door.publish()
    door.streams.changed()
    assert await listener.event() == ("active", {})


async def test_the_log_does_not_tell_the_address(open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        door = await open_door()
        location = (await door.play()).headers["Location"]
        address = (await door.ask("POST", f"{location}/events", json=["active"])).headers["Location"]
        for method, path in (("HEAD", address), ("GET", f"{address}x"), ("DELETE", f"{address}/")):
            await (await door.ask(method, path)).read()
    asked = [record.getMessage() for record in caplog.records if record.name == LOGGER.name]
    key = address.rpartition("/")[2]
    assert [line.split()[1:3] for line in asked if "/events/" in line] == [
        ["HEAD", f"{location}/events/..."],
        ["GET", f"{location}/events/..."],
        ["DELETE", f"{location}/events/.../"],
    ]
    assert key not in caplog.text


async def test_x03_unknown_types_are_400(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    for body in (["active", "scte35"], ["<b>"], [""]):
        assert (await door.ask("POST", f"{location}/events", json=body)).status == 400


async def test_x05_only_the_types_asked_for(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_events, "COUNT_SECONDS", 0.0)
    door = await open_door()
    await door.publish()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["viewercount"])
    for count in (1, 2, 3):
        assert await listener.event() == ("viewercount", {"viewercount": count})
        await door.play()
        door.streams.changed()


async def test_the_count_is_told_now_and_then(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several viewers come in the time between two of them: the last count is told, and no other."""
    monkeypatch.setattr(viewer_events, "COUNT_SECONDS", 0.5)
    door = await open_door()
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["viewercount"])
    assert await listener.event() == ("viewercount", {"viewercount": 1})
    told = asyncio.get_running_loop().time()
    for _ in range(3):
        await door.play()
        door.streams.changed()
    event = asyncio.create_task(listener.event())
    while not event.done():
        door.streams.changed()
        await asyncio.wait([event], timeout=0.05)
    assert event.result() == ("viewercount", {"viewercount": 4})
    assert asyncio.get_running_loop().time() - told >= 0.4


async def test_nodes_and_pushes_are_no_viewers(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    for _ in range(2):
        await door.play()
    _, relay, push = door.streams.viewers("cam")
    door.streams.marks = {relay: {"relay": True}, push: {"cascade": CascadeView(target_url="http://b/whip/cam")}}
    listener = await _events(door, location, ["viewercount"])
    assert await listener.event() == ("viewercount", {"viewercount": 1})


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


async def test_x07_layers_are_told_when_they_change(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    simulcast.video = 0
    location = (await door.play()).headers["Location"]
    listener = await _events(door, location, ["layers"])
    await listener.event()
    first, second = simulcast.encodings
    for layers, told in (
        ([_changed(first, width=0, height=0), second], {"rid": "f", "bitrate": 1280}),
        ([_changed(first, bitrate=0), second], {"rid": "f", "bitrate": 0, "width": 1280, "height": 640}),
    ):
        door.streams.changed()  # nothing has
        simulcast.encodings = layers
        door.streams.changed()
        name, data = await listener.event()
        assert (name, data["0"][0]) == ("layers", told)
    simulcast.encodings = []
    door.streams.changed()
    assert await listener.event() == ("layers", {"0": []})


async def test_the_layers_of_a_svc_stream(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (
        Layer(rid=None, spatial=1, temporal=0, width=640, height=360, bitrate=9),
        Layer(rid=None, spatial=0, temporal=0, width=320, height=180, bitrate=4),
    )
    door = await open_door()
    monkeypatch.setattr(door.streams, "published_layers", lambda _stream, _session: layers)
    listener = await _events(door, (await door.play()).headers["Location"], ["layers"])
    assert (await listener.event())[1] == {
        "1": [
            {"spatialLayerId": 1, "temporalLayerId": 0, "bitrate": 9, "width": 640, "height": 360},
            {"spatialLayerId": 0, "temporalLayerId": 0, "bitrate": 4, "width": 320, "height": 180},
        ]
    }


async def test_without_video_there_are_no_layers(open_door: OpenDoor, simulcast: FakeStreams) -> None:
    door = await open_door(streams=simulcast)
    simulcast.video = None
    listener = await _events(door, (await door.play()).headers["Location"], ["layers", "viewercount"])
    assert (await listener.event())[0] == "viewercount"
    await listener.silence()


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


@pytest.mark.parametrize(
    ("nodes", "data"),
    [
        (None, {}),
        (FakeNodes(), {}),
        (FakeNodes(ways_out={"cam": "http://b/whep/cam"}), {"url": "http://b/whep/cam"}),
    ],
)
async def test_x08_a_shutdown_says_where_to_go_on(
    open_door: OpenDoor, nodes: FakeNodes | None, data: dict[str, str]
) -> None:
    door = await open_door(nodes=nodes)
    location = (await door.play()).headers["Location"]
    told = await _events(door, location)
    untold = await _events(door, location, ["viewercount"])
    for listener in (told, untold):
        assert (await listener.event())[0] == "viewercount"
    await door.app.shutdown()
    assert await told.event() == ("reconnect", data)
    for listener in (told, untold):
        assert await listener.line() == ""


async def test_x08_who_has_to_leave_for_another_server_is_told(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    other = (await door.play()).headers["Location"]
    listener, another = await _events(door, location), await _events(door, other)
    for each in (listener, another):
        assert (await each.event())[0] == "viewercount"
    session = location.rpartition("/")[2]
    door.streams.end("cam", session)
    door.streams.changed(SubscriberLeft(stream="cam", session=session, reason="cascade-push"))
    assert await listener.event() == ("reconnect", {})
    assert await listener.line() == ""
    assert (await door.ask("GET", other)).status == 204
    await another.silence()


async def test_other_streams_are_not_looked_at(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    door = await open_door()
    locations = [(await door.play(stream)).headers["Location"] for stream in ("a", "b")]
    listeners = [await _events(door, location) for location in locations]
    for listener in listeners:
        await listener.event()
    looked: list[str] = []
    stream = door.streams.stream

    def look(name: str) -> StreamView:
        looked.append(name)
        return stream(name)

    monkeypatch.setattr(door.streams, "stream", look)
    publisher = (await door.publish("b")).headers["Location"].rpartition("/")[2]
    door.streams.changed(PublishStarted(stream="b", session=publisher))
    assert await listeners[1].event() == ("active", {})
    assert looked == ["b"]
    door.streams.bus.publish(StreamDeleted(stream="c", reason="api-deleted"))
    for _ in range(2_000):
        door.streams.bus.publish(PublishStarted(stream="c", session="x"))
    await door.publish("a")
    assert await listeners[0].event() == ("active", {}), "what was missed may have been about any of them"
