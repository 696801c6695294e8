"""LiveKit's API of a gateway in this process, asked by LiveKit's own Python SDK; participants come by WHIP and WHEP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from livekit import api

from tests.fakes.remote import offer, watch
from tests.light import LightPeer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from livekit.protocol.models import ParticipantInfo, TrackInfo

KEY = "APIconformance"
SECRET = "the secret of the conformance tests"
KEYS = f'[livekit.keys]\n{KEY} = "{SECRET}"\n'


def token(
    identity: str = "",
    *,
    key: str = KEY,
    secret: str = SECRET,
    name: str = "",
    metadata: str = "",
    attributes: dict[str, str] | None = None,
    **grants: Any,
) -> str:
    """By the SDK; `grants` are fields of its `VideoGrants`."""
    made = api.AccessToken(key, secret).with_grants(api.VideoGrants(**grants))
    if identity:
        made = made.with_identity(identity)
    if name:
        made = made.with_name(name)
    if metadata:
        made = made.with_metadata(metadata)
    if attributes:
        made = made.with_attributes(attributes)
    return made.to_jwt()


@contextlib.contextmanager
def refused(code: str, status: int, message: str = "") -> Iterator[None]:
    """The SDK raises a `ServerError` that says this."""
    with pytest.raises(api.ServerError) as caught:
        yield
    error = caught.value
    assert (error.code, error.status) == (code, status), error
    assert message in error.message, error
    assert not error.message.startswith("twirp error unknown"), error


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Guest:
    """A participant's session."""

    peer: LightPeer
    location: str
    etag: str
    answer: str

    async def ended(self) -> bool:
        """The gateway has closed it."""
        return self.peer.closed.is_set()


@dataclass
class LiveKitServer:
    """`url` ends without a slash."""

    url: str
    api: api.LiveKitAPI
    http: aiohttp.ClientSession
    _guests: list[Guest] = field(default_factory=list)

    async def join(self, room: str, identity: str, *codecs: str, path: str = "/whip/v1", **claims: Any) -> Guest:
        """Publishes Opus and VP8, or other `codecs`, with a token."""
        bearer = token(identity, room_join=True, room=room, **claims)
        return await self.connect(path, offer(*(codecs or ("opus", "vp8"))), bearer)

    async def play(self, stream: str, *, identity: str = "", room: str = "", **claims: Any) -> Guest:
        """Plays it by WHEP, with a token if there is an identity."""
        bearer = token(identity, room_join=True, room=room or stream, **claims) if identity else ""
        return await self.connect(f"/whep/{stream}", watch("opus", "vp8"), bearer)

    async def publish(self, stream: str) -> Guest:
        """By WHIP without a token."""
        return await self.connect(f"/whip/{stream}", offer("opus", "vp8"), "")

    async def connect(self, path: str, sdp: str, bearer: str) -> Guest:
        headers = {"Content-Type": "application/sdp", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        async with self.http.post(self.url + path, data=sdp, headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, f"{response.status} {answer}"
            location, etag = response.headers["Location"], response.headers.get("ETag", "")
        guest = Guest(LightPeer(), location, etag, answer)
        await guest.peer.connect(answer)
        self._guests.append(guest)
        return guest

    async def participant(self, room: str, identity: str) -> ParticipantInfo:
        """When it has joined, with its tracks if it publishes."""

        async def active() -> ParticipantInfo | None:
            listed = await self.api.room.list_participants(api.ListParticipantsRequest(room=room))
            found = next((each for each in listed.participants if each.identity == identity), None)
            return found if found is not None and found.state == found.ACTIVE else None

        return await eventually(active)

    async def publisher(self, room: str, identity: str) -> tuple[TrackInfo, TrackInfo]:
        """Its audio and video tracks, when they are published."""

        async def published() -> tuple[TrackInfo, TrackInfo] | None:
            tracks = sorted((await self.participant(room, identity)).tracks, key=lambda track: track.type)
            return (tracks[0], tracks[1]) if len(tracks) == 2 else None

        return await eventually(published)

    async def until_gone(self, room: str, identity: str) -> None:
        async def gone() -> bool:
            listed = await self.api.room.list_participants(api.ListParticipantsRequest(room=room))
            return identity not in [each.identity for each in listed.participants]

        await eventually(gone)

    async def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """Underscores in the names of `headers` are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = body.encode() if isinstance(body, str) else body
        async with self.http.request(
            method,
            self.url + path,
            data=sent and io.BytesIO(sent),
            headers=named,
            skip_auto_headers=["Content-Type", "Accept"],
        ) as response:
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.headers.items()},
                await response.read(),
            )

    async def call(self, method: str, body: str, bearer: str, *, service: str = "RoomService") -> Answer:
        """In JSON."""
        headers = {"Content_Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        return await self.ask("POST", f"/twirp/livekit.{service}/{method}", body, **headers)

    async def raw(self, request: bytes) -> Answer:
        """The bytes on a connection of their own; the answer has a Content-Length."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = {
                    name.lower(): value for name, value in re.findall(r"^([^:\r\n]+): (.*?)\r$", head, re.MULTILINE)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
        finally:
            writer.close()
            await writer.wait_closed()
        return Answer(int(head.split()[1]), headers, body)

    def close(self) -> None:
        for guest in self._guests:
            guest.peer.close()


@contextlib.asynccontextmanager
async def livekit_server(url: str, *, key: str = KEY, secret: str = SECRET) -> AsyncIterator[LiveKitServer]:
    async with aiohttp.ClientSession() as http, api.LiveKitAPI(url, key, secret, session=http) as client:
        server = LiveKitServer(url, client, http)
        try:
            yield server
        finally:
            server.close()
