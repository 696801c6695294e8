"""webrtc-http-egress-events of the wish working group: server-sent events and the choice of a layer."""

from __future__ import annotations

import contextlib
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests import simulcast
from tests.conformance.checklist import Checklist, Ground, Row
from tests.conformance.media import Publisher, Viewer
from tests.fakes.remote import offer, watch
from tests.http.events import Listener
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

    from tests.conformance.conftest import Gateway

OFFER = offer("opus", "vp8")
VIEWER = watch("vp8")
EVENTS = ["active", "inactive", "layers", "reconnect", "viewercount"]
EXTENSION = "urn:ietf:params:whep:ext:core:"
ROWS = Checklist()


async def _post(gateway: Gateway, path: str, body: object) -> ClientResponse:
    return await gateway.ask("POST", path, json.dumps(body), Content_Type="application/json")


async def _links(gateway: Gateway, viewer: str = VIEWER) -> dict[str, tuple[str, str]]:
    """Address and the rest, by what follows the common part of the relations."""
    links = (await gateway.post("/whep/cam", viewer)).headers.getall("Link")
    found = [re.fullmatch(rf'<(.*)>; rel="{EXTENSION}([a-z-]+)"(.*)', link) for link in links]
    return {link[2]: (link[1], link[3]) for link in found if link is not None}


async def _events(gateway: Gateway, *types: str, viewer: str = VIEWER) -> tuple[Listener, str]:
    """Of a new viewer; and the address of the event stream."""
    address, _ = (await _links(gateway, viewer))["server-sent-events"]
    made = await _post(gateway, address, types)
    assert made.status == 201
    return await _listen(gateway, made.headers["Location"]), made.headers["Location"]


async def _listen(gateway: Gateway, address: str) -> Listener:
    response = await gateway.open(address)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    return Listener(response)


@contextlib.asynccontextmanager
async def _published(gateway: Gateway) -> AsyncIterator[str]:
    """Without media; the path of the session."""
    session, answer = await gateway.session("/whip/cam", OFFER)
    peer = LightPeer()
    await peer.connect(answer)
    yield session
    peer.close()


@contextlib.asynccontextmanager
async def _simulcast(gateway: Gateway) -> AsyncIterator[Publisher]:
    publisher = Publisher()
    _, answer = await gateway.session("/whip/cam", simulcast.OFFER)
    async with publisher.sending(answer):
        yield publisher


@ROWS.row("X01", "MUST", "SSE", "the 201 has a Link to server-sent-events with the types of events")
async def events_are_told(ground: Ground) -> None:
    gateway = await ground.start()
    address, rest = (await _links(gateway))["server-sent-events"]
    assert address.startswith("/session/cam/")
    assert rest == f'; events="{",".join(EVENTS)}"'


@ROWS.row("X02", "MUST", "SSE", "POST of a list of types is 201 with the Location of an event stream")
async def an_event_stream_is_made(ground: Ground) -> None:
    gateway = await ground.start()
    address, _ = (await _links(gateway))["server-sent-events"]
    made = [await _post(gateway, address, types) for types in (["active", "layers"], EVENTS, [])]
    made.append(await gateway.ask("POST", address))  # the list is optional
    assert [response.status for response in made] == [201] * 4
    assert len({response.headers["Location"] for response in made}) == 4


@ROWS.row("X03", "MUST", "SSE", "an unknown type is 400, and no event stream is made")
async def unknown_types(ground: Ground) -> None:
    gateway = await ground.start()
    address, _ = (await _links(gateway))["server-sent-events"]
    for types in (["active", "scte35"], ["Active"], [""]):
        response = await _post(gateway, address, types)
        assert response.status == 400
        assert "Location" not in response.headers


@ROWS.row("X04", "MUST", "SSE", "GET of the Location is text/event-stream, one data line of JSON for each event")
async def events_are_streamed(ground: Ground) -> None:
    gateway = await ground.start()
    listener, _ = await _events(gateway, *EVENTS)
    assert await listener.event() == ("viewercount", {"viewercount": 0})


@ROWS.row("X05", "MUST", "SSE", "only the types asked for come; after DELETE 404; all end with the session")
async def only_what_was_asked_for(ground: Ground) -> None:
    gateway = await ground.start()
    listener, address = await _events(gateway, "active")
    async with _published(gateway):
        assert await listener.event() == ("active", {})
    assert (await gateway.ask("DELETE", address)).status == 204
    assert await listener.line() == ""
    for method in ("GET", "DELETE"):
        assert (await gateway.ask(method, address)).status == 404
    first, address = await _events(gateway, "viewercount", "reconnect")
    assert (await first.event())[0] == "viewercount"
    assert (await gateway.ask("DELETE", address.partition("/events/")[0])).status == 204
    assert await first.line() == ""
    assert (await gateway.ask("GET", address)).status == 404


@ROWS.row("X06", "MUST", "SSE", "active comes at the beginning or with the publisher; inactive is never the first")
async def active_and_inactive(ground: Ground) -> None:
    gateway = await ground.start()
    early, _ = await _events(gateway, "active", "inactive")
    async with _published(gateway) as session:
        assert await early.event() == ("active", {})
        late, _ = await _events(gateway, "active", "inactive")
        assert await late.event() == ("active", {})
    kept, _ = await _events(gateway, "inactive", "viewercount")
    assert (await kept.event())[0] == "viewercount"
    assert (await gateway.ask("GET", session)).status == 404


@ROWS.row("X07", "MUST", "layers", "layers are listed by m-line; each has a rid or layer ids, and `height`")
async def layers_are_told(ground: Ground) -> None:
    gateway = await ground.start()
    async with _simulcast(gateway):
        listener, _ = await _events(gateway, "layers", viewer=watch("opus", "vp8"))

        async def measured() -> dict[str, list[dict[str, Any]]] | None:
            name, layers = await listener.event()
            assert name == "layers"
            (section,) = layers.values()
            known = all(layer["bitrate"] and "width" in layer for layer in section)
            return layers if known and len(section) == 2 * len(simulcast.LAYERS) else None

        layers = await eventually(measured)
        assert list(layers) == ["1"], "after the audio"
        assert [(layer["rid"], layer["temporalLayerId"], layer["width"], layer["height"]) for layer in layers["1"]] == [
            (rid, temporal, *size) for rid, size in simulcast.LAYERS.items() for temporal in (1, 0)
        ]
        assert {layer["spatialLayerId"] for layer in layers["1"]} == {0}


@ROWS.row("X08", "MUST", "reconnect", "reconnect, with a URL or without, says that the viewer is to come again")
async def reconnect(ground: Ground) -> None:
    gateway = await ground.start()
    listener, _ = await _events(gateway, "reconnect")
    await gateway.end()
    assert await listener.event() == ("reconnect", {})
    assert await listener.line() == ""


@ROWS.row("X09", "MUST", "layer", "who is told of layer is told of events with `layers`")
async def layer_means_events(ground: Ground) -> None:
    gateway = await ground.start()
    links = await _links(gateway)
    assert set(links) == {"layer", "server-sent-events"}
    assert "layers" in re.findall(r"[a-z]+", links["server-sent-events"][1].partition("=")[2])
    assert set(await _links(gateway, watch("opus"))) == {"server-sent-events"}


@ROWS.row("X10", "MUST", "layer", "a layer is chosen by rid, ids and limits: 200; unknown 4xx; without any: automatic")
async def layers_are_chosen(ground: Ground) -> None:
    gateway = await ground.start()
    async with _simulcast(gateway):
        listener, _ = await _events(gateway, "layers")

        async def all_measured() -> bool:
            _, layers = await listener.event()
            return len(layers["0"]) == 6 and all(layer["bitrate"] and "width" in layer for layer in layers["0"])

        await eventually(all_measured)
        session, answer = await gateway.session("/whep/cam", VIEWER)
        viewer = Viewer()
        await viewer.watch(answer)
        for body, width, temporal in (
            ({"mediaId": "0", "rid": "2"}, 320, (0, 1)),
            ({"mediaId": "0", "maxWidth": 640}, 640, (0, 1)),
            ({"maxHeight": 200, "maxTemporalLayerId": 0}, 320, (0,)),
            ({"mediaId": "0", "rid": "1", "spatialLayerId": 0, "temporalLayerId": 0}, 640, (0,)),
            ({"mediaId": "0"}, 1280, (0, 1)),
        ):
            seen = len(viewer.pictures)
            assert (await _post(gateway, f"{session}/layer", body)).status == 200, body
            await viewer.sees(width, after=seen)
            await viewer.gets(*temporal)
        for unknown in (
            {"mediaId": "0", "rid": "unknown"},
            {"mediaId": "7"},
            {"spatialLayerId": 5},
            {"rid": "0", "temporalLayerId": 5},
            {"maxWidth": "wide"},
        ):
            response = await _post(gateway, f"{session}/layer", unknown)
            assert (response.status, response.content_type) == (422, "application/problem+json"), unknown
        viewer.close()


@ROWS.row("X11", "compat", "", "Live777's encodingId is the rid, whatever mediaId says, and DELETE is automatic")
async def encoding_ids(ground: Ground) -> None:
    gateway = await ground.start()
    async with _simulcast(gateway):
        session, answer = await gateway.session("/whep/cam", VIEWER)
        viewer = Viewer()
        await viewer.watch(answer)
        await viewer.sees(1280)
        for width, method, body in ((320, "POST", {"mediaId": "1", "encodingId": "2"}), (1280, "DELETE", None)):
            seen = len(viewer.pictures)
            response = await gateway.ask(
                method,
                f"{session}/layer",
                None if body is None else json.dumps(body),
                Content_Type="application/json",
            )
            assert response.status == 200
            await viewer.sees(width, after=seen)
        viewer.close()


@ROWS.row("X12", "MUST", "layer", "a switch asks for a key frame; numbers, timestamps and picture ids go on")
async def a_switch_is_continuous(ground: Ground) -> None:
    gateway = await ground.start("gop_cache_bytes = 0\n")  # so that a switch needs a new key frame
    async with _simulcast(gateway) as publisher:
        session, answer = await gateway.session("/whep/cam", VIEWER)
        viewer = Viewer()
        await viewer.watch(answer)
        await viewer.sees(1280)
        for rid in ("2", "1", "0"):
            asked, seen = publisher.asked[rid], len(viewer.pictures)
            assert (await _post(gateway, f"{session}/layer", {"mediaId": "0", "rid": rid})).status == 200
            await viewer.sees(simulcast.LAYERS[rid][0], after=seen)
            assert publisher.asked[rid] > asked
        viewer.close()
    widths = [picture.width for picture in viewer.pictures if picture.width]
    assert list(dict.fromkeys(widths[1:])) == [320, 640, 1280]
    assert len({picture.ssrc for picture in viewer.pictures}) == 1
    for before, after in pairwise(viewer.pictures):
        assert (after.sequence - before.sequence) % 2**16 == 1
        assert (after.picture - before.picture) % 2**15 == 1
        assert (after.group - before.group) % 2**8 == 1 - after.temporal
        assert 0 < (after.timestamp - before.timestamp) % 2**32 < 90_000


@ROWS.cases()
async def test_whep_extension(row: Row, ground: Ground) -> None:
    await row.check(ground)
