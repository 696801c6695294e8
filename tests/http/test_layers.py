"""Layers and mute: Live777's bodies, and those of the WHEP extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.streams.layers import AUTOMATIC, LayerChoice
from live777py.streams.views import LayerView
from tests.fakes.streams import FakeStreams

if TYPE_CHECKING:
    from tests.http.doors import OpenDoor


def _layer(rid: str, width: int, *, active: bool = True) -> LayerView:
    return LayerView(
        encoding_id=rid,
        width=width,
        height=width * 9 // 16,
        bitrate=1000 * width if active else 0,
        active=active,
        selected=False,
    )


@pytest.fixture
def streams() -> FakeStreams:
    streams = FakeStreams()
    streams.encodings = [_layer("f", 1280), _layer("h", 640), _layer("q", 320, active=False)]
    return streams


async def test_layers_are_listed_best_first(open_door: OpenDoor, streams: FakeStreams) -> None:
    door = await open_door(streams=streams)
    location = (await door.play()).headers["Location"]
    response = await door.ask("GET", f"{location}/layer")
    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == [
        {"encodingId": "f", "width": 1280, "height": 720, "bitrate": 1280000, "active": True, "selected": True},
        {"encodingId": "h", "width": 640, "height": 360, "bitrate": 640000, "active": True, "selected": False},
        {"encodingId": "q", "width": 320, "height": 180, "bitrate": 0, "active": False, "selected": False},
    ]


CHOICES = [
    ('{"encodingId": "q"}', LayerChoice(rid="q")),
    ('{"mediaId": "0", "encodingId": "h"}', LayerChoice(rid="h")),
    ('{"mediaId": "1", "rid": "h"}', LayerChoice(rid="h")),
    ('{"mediaId": 1, "rid": "h"}', LayerChoice(rid="h")),
    ('{"maxWidth": 640}', LayerChoice(max_width=640)),
    ('{"mediaId": "1", "maxWidth": 2000, "maxHeight": 180}', LayerChoice(max_width=2000, max_height=180)),
    ('{"spatialLayerId": 1, "temporalLayerId": 0}', LayerChoice(spatial=1, temporal=0)),
    ('{"rid": "f", "maxSpatialLayerId": 0}', LayerChoice(rid="f", max_spatial=0)),
    ('{"maxTemporalLayerId": 2}', LayerChoice(max_temporal=2)),
    ("{}", AUTOMATIC),
    ("null", AUTOMATIC),
    ('{"mediaId": "1"}', AUTOMATIC),
    ('{"encodingId": null}', AUTOMATIC),
    ('{"encodingId": ""}', AUTOMATIC),
]


@pytest.mark.parametrize(("body", "chosen"), CHOICES)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_layer_is_chosen(
    open_door: OpenDoor, streams: FakeStreams, body: str, chosen: LayerChoice, slash: str
) -> None:
    door = await open_door(streams=streams)
    location = (await door.play()).headers["Location"]
    response = await door.ask(
        "POST", f"{location}/layer{slash}", data=body, headers={"Content-Type": "application/json"}
    )
    assert (response.status, await response.read()) == (200, b"")
    assert streams.selected == {location.rpartition("/")[2]: chosen}


@pytest.mark.parametrize(
    "body",
    [
        {"rid": "x"},
        {"encodingId": "F"},
        {"mediaId": "0", "rid": "f"},
        {"mediaId": "2"},
        {"mediaId": "video"},
        {"spatialLayerId": -1},
        {"maxSpatialLayerId": 256},
        {"maxWidth": 65536},
        {"temporalLayerId": "0"},
        {"maxWidth": 0},
        {"maxHeight": 1.5},
    ],
)
async def test_what_cannot_be_chosen_is_422(open_door: OpenDoor, streams: FakeStreams, body: dict[str, object]) -> None:
    door = await open_door(streams=streams)
    location = (await door.play()).headers["Location"]
    assert (await door.ask("POST", f"{location}/layer", json=body)).status == 422
    assert streams.selected == {}


async def test_delete_goes_back_to_automatic(open_door: OpenDoor, streams: FakeStreams) -> None:
    door = await open_door(streams=streams)
    location = (await door.play()).headers["Location"]
    await door.ask("POST", f"{location}/layer", json={"rid": "q"})
    response = await door.ask("DELETE", f"{location}/layer")
    assert (response.status, await response.read()) == (200, b"")
    assert streams.selected == {location.rpartition("/")[2]: AUTOMATIC}


async def test_without_simulcast_there_are_no_layers(open_door: OpenDoor) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    assert (await door.ask("POST", f"{location}/layer", json={"maxWidth": 640})).status == 409
    assert (await door.ask("GET", f"{location}/layer")).status == 409


@pytest.mark.parametrize("kind", ["audio", "video"])
@pytest.mark.parametrize("enabled", [True, False])
async def test_mute(open_door: OpenDoor, kind: str, enabled: bool) -> None:
    door = await open_door()
    location = (await door.play()).headers["Location"]
    response = await door.ask("POST", location, json={"kind": kind, "enabled": enabled})
    assert (response.status, await response.json()) == (200, {})
    assert door.streams.muted == [(location.rpartition("/")[2], kind, enabled)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/session/cam/unknown", {"kind": "audio", "enabled": True}),
        ("GET", "/session/cam/unknown/layer", None),
        ("POST", "/session/cam/unknown/layer", {"rid": "f"}),
        ("DELETE", "/session/cam/unknown/layer", None),
    ],
)
async def test_of_an_unknown_session_404(
    open_door: OpenDoor, method: str, path: str, body: dict[str, object] | None
) -> None:
    door = await open_door()
    await door.play()
    assert (await door.ask(method, path, json=body)).status == 404
