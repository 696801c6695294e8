"""Live777's own black-box cases, with real streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web

from live777py.app import build_app, listen
from live777py.config import SocketAddress, parse
from tests.fakes.remote import PASSWORD, UFRAG, offer, watch
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.conftest import Gateway

STREAM_KEYS = {
    "id", "createdAt", "publish", "subscribe", "codecs", "provisioned", "onDemand", "stats", "statsScope",
}  # fmt: skip
CANDIDATE = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"
SESSION_KEYS = {"id", "createdAt", "leaveAt", "state", "hasDataChannel", "stats"}


@pytest.mark.live777_case(1)
async def test_the_default_strategy(gateway: Gateway) -> None:
    expected = {
        "each_stream_max_sub": 65535,
        "cascade_push_close_sub": False,
        "auto_create_whip": True,
        "auto_create_whep": True,
        "auto_delete_whip": -1,
        "auto_delete_whep": -1,
    }
    for path in ("/api/strategy/", "/api/strategy"):
        assert await gateway.json(path) == expected


@pytest.mark.live777_case(2)
async def test_info(gateway: Gateway) -> None:
    info = await gateway.json("/api/info")
    assert set(info) == {"version", "gitHash", "buildTime", "features"}
    assert info["gitHash"] in info["version"]
    assert {"cascade", "source", "source-whep"} <= set(info["features"])


@pytest.mark.live777_case(3)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_listening_on_every_address(host: str) -> None:
    runner = web.AppRunner(build_app(parse('[webrtc]\nice_udp_addrs = ["127.0.0.1:0"]\n', {})))
    listener = listen(SocketAddress(host="::", port=0))
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        port = listener.getsockname()[1]
        async with ClientSession() as client, client.get(f"http://{host}:{port}/api/streams/") as response:
            assert (response.status, await response.json()) == (200, [])
    finally:
        await runner.cleanup()
        listener.close()


@pytest.mark.live777_case(4)
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


@pytest.mark.live777_case(8)
@pytest.mark.parametrize("ice_lite", [True, False])
async def test_candidates_come_later(start: Callable[[str], Awaitable[Gateway]], ice_lite: bool) -> None:
    gateway = await start(f"ice_lite = {str(ice_lite).lower()}\n")
    response = await gateway.post("/whep/cam", watch("opus", "vp8"))
    assert response.status == 201
    answer, location = await response.text(), response.headers["Location"]
    assert ("a=ice-lite" in answer.splitlines()) is ice_lite
    assert "a=candidate:" in answer
    fragment = f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{CANDIDATE}\r\n"
    patched = await gateway.ask("PATCH", location, fragment, Content_Type="application/trickle-ice-sdpfrag")
    assert patched.status == 204
    peer = LightPeer()
    try:
        await peer.connect(answer)
        await eventually(lambda: _connected(gateway), within=15)
    finally:
        peer.close()


async def _connected(gateway: Gateway) -> bool:
    (stream,) = await gateway.json("/api/streams/")
    return [session["state"] for session in stream["subscribe"]["sessions"]] == ["connected"]


@pytest.mark.live777_case(13)
async def test_an_empty_stream_goes_and_a_configured_one_stays(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start("[stream.fixed]\n")
    assert (await gateway.ask("POST", "/api/streams/dynamic")).status == 204
    assert await _names(gateway) == ["dynamic", "fixed"]

    async def alone() -> bool:
        return await _names(gateway) == ["fixed"]

    await eventually(alone, within=7)


async def _names(gateway: Gateway) -> list[str]:
    return sorted(stream["id"] for stream in await gateway.json("/api/streams/"))


@pytest.mark.live777_case(13)
async def test_a_whitelist_keeps_retransmission_with_its_codec(start: Callable[[str], Awaitable[Gateway]]) -> None:
    gateway = await start('[sdp]\nvideo_codecs = ["vp8"]\naudio_codecs = ["OPUS"]\n')
    vp8 = "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
    av1 = "a=rtpmap:45 AV1/90000\r\na=rtpmap:46 rtx/90000\r\na=fmtp:46 apt=45\r\n"
    both = offer("opus", "vp8").replace("a=rtpmap:96 VP8/90000\r\n", vp8 + av1).replace("SAVPF 96", "SAVPF 45 46 96 97")
    response = await gateway.post("/whip/cam", both)
    assert response.status == 201
    lines = (await response.text()).splitlines()
    (video,) = [line for line in lines if line.startswith("m=video ")]
    assert video.split()[3:] == ["96", "97"]
    assert "a=fmtp:97 apt=96" in lines
    assert (await gateway.post("/whip/other", offer("opus", "av1"))).status == 422


@pytest.mark.live777_case(13)
async def test_an_answer_to_a_publisher_asks_for_congestion_feedback(gateway: Gateway) -> None:
    feedback = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\n"
    response = await gateway.post("/whip/cam", offer("vp8").replace("a=rtpmap:96 VP8/90000\r\n", feedback))
    assert {"a=rtcp-fb:96 transport-cc", "a=rtcp-fb:96 goog-remb"} & set((await response.text()).splitlines())


async def test_deleting_a_publisher_takes_the_stream_along(gateway: Gateway) -> None:
    publish = await gateway.post("/whip/cam", offer("opus", "vp8"))
    await gateway.post("/whep/cam", watch("opus", "vp8"))
    assert (await gateway.ask("DELETE", publish.headers["Location"])).status == 204
    assert await gateway.json("/api/streams/") == []


@pytest.mark.live777_case(13)
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
