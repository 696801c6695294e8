"""/whip/v1 and LiveKit tokens at WHIP and WHEP of a gateway process: real sessions, seen by LiveKit's own library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from livekit import api

from tests.fakes.remote import offer, watch
from tests.gateway import running_gateway
from tests.light import LightPeer
from tests.livekit.tokens import CONFIG, KEY, ROOM, SECRET, joining
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from multidict import CIMultiDictProxy

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class Guests:
    """Peers of a gateway, closed by `leave`."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url = url
        self._client = client
        self.peers: list[LightPeer] = []

    async def ask(
        self, method: str, path: str, token: str, body: str = "", **headers: str
    ) -> tuple[int, CIMultiDictProxy[str], str]:
        sent = {"Authorization": f"Bearer {token}", **headers}
        async with self._client.request(method, self._url + path, data=body, headers=sent) as response:
            return response.status, response.headers, await response.text()

    async def join(self, path: str, token: str, sdp: str) -> tuple[LightPeer, CIMultiDictProxy[str]]:
        status, headers, answer = await self.ask("POST", path, token, sdp, **SDP)
        assert status == 201, answer
        peer = LightPeer()
        self.peers.append(peer)
        await peer.connect(answer)
        return peer, headers

    def leave(self) -> None:
        for peer in self.peers:
            peer.close()


async def test_participants_come_by_token(tmp_path: Path) -> None:
    config = f'[store]\npath = "{tmp_path}/store.db"\n{CONFIG}'
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        aiohttp.ClientSession() as client,
        api.LiveKitAPI(gateway.url, KEY, SECRET) as sdk,
    ):
        guests = Guests(gateway.url, client)

        async def present() -> dict[str, api.ParticipantInfo]:
            listed = await sdk.room.list_participants(api.ListParticipantsRequest(room=ROOM))
            return {participant.identity: participant for participant in listed.participants}

        async def active(*identities: str) -> bool:
            found = await present()
            active = api.ParticipantInfo.State.ACTIVE
            return set(found) == set(identities) and all(each.state == active for each in found.values())

        alice, made = await guests.join("/whip/v1", joining(canPublishSources=["microphone"]), offer("opus"))
        await guests.join(f"/whip/{ROOM}", joining(identity="stage"), offer("opus", "vp8"))
        await guests.join(f"/whep/alice@{ROOM}", joining(identity="bob", canPublish=False), watch("opus", "vp8"))
        await eventually(lambda: active("alice", "stage", "bob"))
        found = await present()
        assert made["Location"] == f"/whip/v1/{found['alice'].sid}"
        assert list(found["alice"].permission.can_publish_sources) == [api.TrackSource.MICROPHONE]
        assert len(found["alice"].tracks) == 1
        assert len(found["stage"].tracks) == 2
        assert not found["bob"].permission.can_publish
        assert {stream["id"] for stream in await gateway.get("/api/streams/")} == {ROOM, f"alice@{ROOM}"}

        silent = joining(canPublishSources=["microphone"])
        status, _, text = await guests.ask("POST", "/whip/v1", silent, offer("opus", "vp8"), **SDP)
        assert (status, text) == (403, '{"error":"the token does not allow to publish video"}')
        status, _, _ = await guests.ask("POST", f"/whip/alice@{ROOM}", joining(identity="bob"), offer("opus"), **SDP)
        assert status == 403

        again, made_again = await guests.join("/whip/v1", joining(), offer("opus", "vp8"))
        await alice.closed.wait()
        await eventually(lambda: active("alice", "stage", "bob"))
        candidate = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
        for location, match, expected in (
            (made["Location"], made["ETag"], 404),
            (made_again["Location"], made["ETag"], 412),
            (made_again["Location"], made_again["ETag"], 204),
        ):
            status, _, _ = await guests.ask("PATCH", location, joining(), candidate, **FRAGMENT, **{"If-Match": match})
            assert status == expected
        status, _, _ = await guests.ask("DELETE", made_again["Location"], joining())
        assert status == 200
        await again.closed.wait()
        await eventually(lambda: active("stage"))  # a publisher that says goodbye takes its stream and viewers along
        guests.leave()
