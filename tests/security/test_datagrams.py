"""What a stranger, or a peer that misbehaves, may send to the media port: it is ignored and nothing is lost."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.gateway import running_gateway
from tests.interop.peers import Picture, playing, publishing
from tests.security.peer import HandMade, Socket
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateway import Gateway

QUIET = 0.3
"""Seconds in which an answer on loopback would long have come."""

# A DTLS 1.2 ClientHello record (RFC 6347) whose only cipher suite is TLS_NULL_WITH_NULL_NULL.
CLIENT_HELLO = bytes.fromhex("16feff000000000000000000360100002a0000000000002afefd" + "00" * 32 + "0000000200000100")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def assert_alive(peer: HandMade, socket: Socket) -> None:
    """The session still answers its own peer."""
    await peer.connect(socket)


async def state_of(gateway: Gateway, stream: str) -> str:
    found = await gateway.stream(stream)
    assert found is not None
    state: str = found["publish"]["sessions"][0]["state"]
    return state


@pytest.mark.usefixtures("loopback_candidates")
async def test_dtls_from_an_address_that_ice_never_authenticated(
    gateway: Gateway, client: aiohttp.ClientSession
) -> None:
    """S01: a ClientHello race from elsewhere gets no alert and harms no handshake."""
    peer = HandMade(f"{gateway.url}/whip/raced")
    await peer.post(client)
    async with await Socket.open() as stranger:
        for _ in range(20):
            stranger.send(CLIENT_HELLO, peer.server)
        with pytest.raises(TimeoutError):
            await stranger.receive(QUIET)
        async with publishing(f"{gateway.url}/whip/fine"), playing(f"{gateway.url}/whep/fine") as viewed:
            for _ in range(20):
                stranger.send(CLIENT_HELLO, peer.server)
            await viewed.frames(10)


async def test_a_recorded_check_from_elsewhere(gateway: Gateway, client: aiohttp.ClientSession) -> None:
    """S01: who has seen a check on the way cannot lead the session to an address of its own."""
    peer = HandMade(f"{gateway.url}/whip/led")
    await peer.post(client)
    async with await Socket.open() as own, await Socket.open() as stranger, await Socket.open() as moved:
        recorded = peer.check()
        for _ in range(2):
            own.send(recorded, peer.server)
            await own.receive()
        stranger.send(recorded, peer.server)
        with pytest.raises(TimeoutError):
            await stranger.receive(QUIET)
        await assert_alive(peer, own)
        await assert_alive(peer, moved)


@pytest.mark.usefixtures("loopback_candidates")
@pytest.mark.parametrize("setup", ["actpass", "passive"], ids=["gateway is server", "gateway is client"])
async def test_a_certificate_other_than_the_sdp_says(
    gateway: Gateway, client: aiohttp.ClientSession, setup: str
) -> None:
    """S02: the fingerprint is checked in both DTLS roles; a wrong one ends the session without media."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(Picture(), direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    lines = []
    for line in connection.localDescription.sdp.splitlines():
        if line.startswith("a=fingerprint:sha-256"):
            lines.append("a=fingerprint:sha-256 " + ":".join(["00"] * 32))
        elif line.startswith("a=setup:"):
            lines.append(f"a=setup:{setup}")
        elif not line.startswith("a=fingerprint:"):
            lines.append(line)
    body = "\r\n".join(lines) + "\r\n"
    headers = {"Content-Type": "application/sdp"}
    async with client.post(f"{gateway.url}/whip/forged", data=body, headers=headers) as response:
        answer = await response.text()
        assert response.status == 201, answer
        session = response.headers["Location"]
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def ended() -> list[str] | None:
        found = await gateway.stream("forged")
        states = [entry["state"] for entry in found["publish"]["sessions"]] if found else ["closed"]
        assert "connected" not in states
        return states if set(states) <= {"failed", "closed"} else None

    try:
        await eventually(ended)
        assert (await client.delete(gateway.url + session)).status in {204, 404}
    finally:
        await connection.close()


async def test_huge_and_senseless_datagrams(gateway: Gateway, client: aiohttp.ClientSession) -> None:
    """S06: 64 KiB, lying lengths, every first byte: from a stranger and from an authenticated address."""
    peer = HandMade(f"{gateway.url}/whip/sturdy")
    await peer.post(client)
    async with await Socket.open() as own, await Socket.open() as stranger:
        await peer.connect(own)
        for socket in (own, stranger):
            for size in (65507, 9000, 1500, 13, 12, 11, 1):
                for first in (0x80, 0x90, 0x16, 0x00, 0xFF):
                    socket.send(bytes([first]) + secrets.token_bytes(size - 1), peer.server)
            for packet_type in range(200, 208):
                socket.send(bytes([0x9F, packet_type, 0xFF, 0xFF]) + secrets.token_bytes(60), peer.server)
            socket.send(b"", peer.server)
        await assert_alive(peer, own)
    assert await state_of(gateway, "sturdy") in {"new", "connecting"}


async def test_stun_tells_a_stranger_nothing(gateway: Gateway, client: aiohttp.ClientSession) -> None:
    """S16: no answer to an unknown user or a wrong password, so nothing to scan for and nothing to amplify."""
    peer = HandMade(f"{gateway.url}/whip/quiet")
    await peer.post(client)
    async with await Socket.open() as stranger:
        stranger.send(peer.check(local_ufrag="nobody00"), peer.server)
        stranger.send(peer.check(pwd="x" * 24), peer.server)
        with pytest.raises(TimeoutError):
            await stranger.receive(QUIET)
        request = peer.check()
        stranger.send(request, peer.server)
        assert len(await stranger.receive()) <= len(request) + 16


async def test_one_media_section_two_publishers_same_ssrc(gateway: Gateway, client: aiohttp.ClientSession) -> None:
    """S19: a peer is found by its address and ufrag, so equal credentials of another stream do not meet."""
    one, other = HandMade(f"{gateway.url}/whip/one"), HandMade(f"{gateway.url}/whip/other")
    await one.post(client)
    await other.post(client)
    async with await Socket.open() as first, await Socket.open() as second:
        await one.connect(first)
        await other.connect(second)
        async with client.delete(gateway.url + one.location) as response:
            assert response.status == 204
        second.send(other.check(), other.server)
        assert await second.receive()
        first.send(one.check(), one.server)
        with pytest.raises(TimeoutError):
            await first.receive(QUIET)
