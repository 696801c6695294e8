"""Live777's own black-box cases, with real streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.remote import offer, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway

STREAM_KEYS = {
    "id", "createdAt", "publish", "subscribe", "codecs", "provisioned", "onDemand", "stats", "statsScope",
}  # fmt: skip
SESSION_KEYS = {"id", "createdAt", "leaveAt", "state", "hasDataChannel", "stats"}


async def test_create_then_list(gateway: Gateway) -> None:
    assert (await gateway.ask("POST", "/api/streams/x")).status == 204
    (stream,) = await gateway.json("/api/streams/")
    assert set(stream) == STREAM_KEYS
    assert stream["publish"] == {"leaveAt": 0, "sessions": []}
    assert stream["subscribe"] == {"leaveAt": stream["createdAt"], "sessions": []}
    assert stream["createdAt"] > 1_600_000_000_000
    assert (stream["provisioned"], stream["onDemand"], stream["statsScope"]) == (False, False, "node")
    assert stream["stats"]["publish"] == {"bytes": 0, "packets": 0, "bitrate": 0}


async def test_a_session_is_listed(gateway: Gateway) -> None:
    publish = await gateway.post("/whip/cam", offer("opus", "vp8"))
    play = await gateway.post("/whep/cam", watch("opus", "vp8"))
    stream = await gateway.json("/api/streams/cam")
    for side, response in (("publish", publish), ("subscribe", play)):
        (session,) = stream[side]["sessions"]
        assert set(session) == SESSION_KEYS
        assert session["id"] == response.headers["Location"].rpartition("/")[2]
        assert (session["state"], session["leaveAt"]) == ("new", 0)
    assert [(codec["kind"], codec["codec"]) for codec in stream["codecs"]] == [("audio", "opus"), ("video", "vp8")]


async def test_deleting_a_publisher_takes_the_stream_along(gateway: Gateway) -> None:
    publish = await gateway.post("/whip/cam", offer("opus", "vp8"))
    await gateway.post("/whep/cam", watch("opus", "vp8"))
    assert (await gateway.ask("DELETE", publish.headers["Location"])).status == 204
    assert await gateway.json("/api/streams/") == []


async def test_a_configured_stream_stays(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start("[stream.cam]\n")
    for method in ("POST", "DELETE"):
        assert (await gateway.ask(method, "/api/streams/cam")).status == 409
    publish = await gateway.post("/whip/cam", offer("opus", "vp8"))
    assert (await gateway.ask("DELETE", publish.headers["Location"])).status == 204
    (stream,) = await gateway.json("/api/streams/")
    assert stream["provisioned"]


@pytest.mark.parametrize("key", ["auto_create_whip", "auto_create_whep"])
async def test_streams_are_not_made_where_that_is_off(start: Callable[[str], Awaitable[Gateway]], key: str) -> None:
    gateway = await start(f"[strategy]\n{key} = false\n")
    path, body = ("/whip/cam", offer("opus", "vp8")) if key.endswith("whip") else ("/whep/cam", watch("opus", "vp8"))
    assert (await gateway.post(path, body)).status == 404
    assert (await gateway.ask("POST", "/api/streams/cam")).status == 204
    assert (await gateway.post(path, body)).status == 201


async def test_counts_reach_the_metrics(gateway: Gateway) -> None:
    await gateway.post("/whip/cam", offer("opus", "vp8"))
    await gateway.post("/whep/cam", watch("opus", "vp8"))
    lines = (await (await gateway.ask("GET", "/metrics")).text()).splitlines()
    for line in (
        "live777_stream 1.0",
        "live777_publish 1.0",
        "live777_subscribe 1.0",
        'live777_sessions{state="new"} 2.0',
        'live777_packets_total{direction="in"} 0.0',
        'live777_media_events_total{event="srtp_rejected"} 0.0',
    ):
        assert line in lines
