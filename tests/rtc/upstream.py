"""Another server, as a client peer over the fake engine meets it: real HTTP, a real DTLS end, no media."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.test_utils import TestServer

from live777py.rtc.negotiation import CodecPolicy, LocalPeer, host_candidates, plan_play, plan_publish
from tests.fakes.remote import CERTIFICATE, PASSWORD, UFRAG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from yarl import URL

    from live777py.rtc.negotiation import PublishedMedia

CANDIDATES = host_candidates([("192.0.2.7", 7777), ("169.254.169.254", 80), ("224.0.0.1", 7777), ("10.0.0.1", 7777)])
LOCAL = LocalPeer(
    ice_ufrag=UFRAG,
    ice_pwd=PASSWORD,
    fingerprint=CERTIFICATE.fingerprint,
    candidates=CANDIDATES,
    ice_lite=True,
    session_id=1,
)


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Upstream:
    """Answers WHEP at /whep/x and WHIP at /whip/x. `on_post` may answer instead; `change` edits the answer's text.

    While `held` is set, a POST waits for `release`, and `asked` says that it does.
    """

    url: URL | None = None
    published: tuple[PublishedMedia, ...] | None = None
    seen: list[Seen] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    location: str | None = "/session/x/1?key=secret"
    change: Callable[[str], str] = lambda text: text
    on_post: Callable[[Seen], web.Response | None] = lambda _: None
    held: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    patched: asyncio.Event = field(default_factory=asyncio.Event)
    patch_status: int = 204
    delete_status: int = 200

    async def handle(self, request: web.Request) -> web.Response:
        seen = Seen(request.method, request.path_qs, dict(request.headers), await request.text())
        self.seen.append(seen)
        if request.method == "PATCH":
            self.patched.set()
            return web.Response(status=self.patch_status)
        if request.method == "DELETE":
            return web.Response(status=self.delete_status)
        self.asked.set()
        if self.held:
            await self.release.wait()
        return self.on_post(seen) or self.answer(seen)

    def answer(self, seen: Seen) -> web.Response:
        policy = CodecPolicy()
        if seen.path.startswith("/whep/"):
            ssrcs = itertools.count(1000)
            plan = plan_play(seen.body, policy, self.published, new_ssrc=ssrcs.__next__, cname="upstream")
            text = plan.answer(LOCAL)
        else:
            text = plan_publish(seen.body, policy).answer(LOCAL)
        response = web.Response(
            status=201,
            text=self.change(text),
            content_type="application/sdp",
            headers={"ETag": '"tag"', **self.headers},
        )
        if self.location is not None:
            response.headers["Location"] = self.location
        for link in self.links:
            response.headers.add("Link", link)
        return response

    def requests(self, method: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method]


@contextlib.asynccontextmanager
async def serving(upstream: Upstream) -> AsyncIterator[Upstream]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        upstream.url = server.make_url("/")
        yield upstream
        upstream.release.set()
