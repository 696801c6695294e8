"""A door before fake streams, a client that knocks, and its credentials."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import jwt
import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from live777py.app import build_doors
from live777py.config import parse
from live777py.http.access_log import LOGGER, SERVER_LOGGER, AccessLogger
from live777py.http.forwarding import FORWARDER, Forwarder
from live777py.http.keys import (
    AUTHENTICATOR,
    CASCADE,
    NODES,
    RECORDER,
    RECORDINGS,
    RELOAD,
    STORAGE,
    STREAMS,
    THUMBNAILS,
    ReloadReport,
)
from live777py.recorder.index import RecordingIndex
from live777py.recorder.thumbnails import Thumbnails
from live777py.storage import LocalStorage
from live777py.store import Database
from tests.fakes.cascade import FakeCascade
from tests.fakes.recorder import FakeStreams as FakePublishers
from tests.fakes.recordings import FakeRecorder
from tests.fakes.streams import FakeStreams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from aiohttp import ClientResponse, web

    from live777py.errors import Unprocessable
    from tests.fakes.nodes import FakeNodes

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
SECRET = "secret"
STATIC_TOKEN = "static-token"
READ_ONLY = 4
"""The mode of a viewer's token."""
AUTH = f'[auth]\nsecret = "{SECRET}"\ntokens = ["{STATIC_TOKEN}", "second"]\n'


class FakeReload:
    """`failure` is raised by every call."""

    def __init__(self) -> None:
        self.failure: Unprocessable | None = None

    async def reload(self) -> ReloadReport:
        if self.failure is not None:
            raise self.failure
        return ReloadReport(applied=("log.level",), restart_needed=("http.listen",))


@dataclass(frozen=True, kw_only=True)
class Door:
    client: TestClient[web.Request, web.Application]
    streams: FakeStreams
    cascade: FakeCascade
    recorder: FakeRecorder
    publishers: FakePublishers
    """Of video that can be decoded."""
    index: RecordingIndex
    storage: LocalStorage
    reload: FakeReload
    app: web.Application

    async def ask(self, method: str, path: str, **options: Any) -> ClientResponse:
        """`path` is sent as it stands, percent signs and dots too. The body is read, unless it is one without end."""
        response = await self.client.request(method, URL(path, encoded=True), **options)
        if response.content_type == "text/event-stream":
            response.close()
        else:
            await response.read()
        return response

    async def ask_raw(self, method: str, target: str, *, body: str = "", **headers: str) -> str:
        """The head of the answer to a request whose target no client library has tidied up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.client.port)
        lines = [f"{name}: {value}" for name, value in {**headers, "Connection": "close"}.items()]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", *lines])
        writer.write(f"{head}\r\n\r\n{body}".encode(errors="surrogateescape"))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
        await writer.wait_closed()
        return answer

    async def publish(self, stream: str = "cam", **headers: str) -> ClientResponse:
        return await self.ask("POST", f"/whip/{stream}", data=OFFER, headers={**SDP, **headers})

    async def play(self, stream: str = "cam", **headers: str) -> ClientResponse:
        return await self.ask("POST", f"/whep/{stream}", data=OFFER, headers={**SDP, **headers})


class OpenDoor(Protocol):
    def __call__(
        self,
        config: str = "",
        *,
        streams: FakeStreams | None = None,
        pages: Path | None = None,
        nodes: FakeNodes | None = None,
    ) -> Awaitable[Door]: ...


@pytest.fixture
async def open_door(tmp_path: Path) -> AsyncIterator[OpenDoor]:
    clients: list[TestClient[web.Request, web.Application]] = []
    database = Database(tmp_path / "store.db")
    storage = LocalStorage(tmp_path / "storage")

    async def open_it(
        config: str = "",
        *,
        streams: FakeStreams | None = None,
        pages: Path | None = None,
        nodes: FakeNodes | None = None,
    ) -> Door:
        app = build_doors(parse(config, {}), web_pages=pages or tmp_path / "no-pages")
        fake = app[STREAMS] = streams or FakeStreams()
        if nodes is not None:
            forwarder = app[FORWARDER] = Forwarder(nodes)
            app[NODES] = nodes
            app[AUTHENTICATOR].nodes = nodes
            app.on_cleanup.append(lambda _app: forwarder.close())
        cascade = app[CASCADE] = FakeCascade()
        index = app[RECORDINGS] = RecordingIndex(database)
        app[STORAGE] = storage
        recorder = app[RECORDER] = FakeRecorder(index, storage)
        publishers = FakePublishers()
        thumbnails = app[THUMBNAILS] = Thumbnails(publishers, publishers, storage)
        app.on_cleanup.append(lambda _app: thumbnails.close())
        reload = FakeReload()
        app[RELOAD] = reload.reload
        server = TestServer(app)
        await server.start_server(access_log_class=AccessLogger, access_log=LOGGER, logger=SERVER_LOGGER)
        client = TestClient(server)
        clients.append(client)
        return Door(
            client=client,
            streams=fake,
            cascade=cascade,
            recorder=recorder,
            publishers=publishers,
            index=index,
            storage=storage,
            reload=reload,
            app=app,
        )

    yield open_it
    for client in clients:
        await client.close()
    await storage.close()
    await database.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def scoped(stream: str = "cam", mode: int = 7, *, secret: str = SECRET, **claims: Any) -> dict[str, str]:
    """The header of a JWT."""
    payload = {"id": stream, "mode": mode, "exp": int(time.time()) + 600, **claims}
    key = secret.encode().ljust(32, b"\0")
    return bearer(jwt.encode(payload, key))
