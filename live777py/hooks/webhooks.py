"""`[[webhooks]]`: what is posted to which URL when something happens to a stream."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
import uuid
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING

import msgspec

from live777py import log
from live777py.hooks.notice import CAPACITY, Notice, notice_of
from live777py.hooks.outbox import Outbox
from live777py.hooks.receiver import Target
from live777py.hooks.signature import sign
from live777py.store import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.config import Config, WebhookConfig
    from live777py.store import Database
    from live777py.streams.bus import EventBus
    from live777py.streams.events import StreamEvent


class Post(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body. `id` is the same for every webhook and every attempt; `time` is Unix milliseconds."""

    id: str
    event: str
    stream: str
    session: str | None = None
    reason: str | None = None
    path: str | None = None
    time: int


class WebhookSender:
    """Usage: `await start()` before the first event that counts, `await stop()` after the last.

    Without webhooks the store is not opened. It belongs to the caller, who closes it after `stop`.
    """

    def __init__(self, bus: EventBus, config: Config, store: Database, *, random: Random | None = None) -> None:
        self._events = bus.subscribe(capacity=CAPACITY)
        self._config = config
        self._outbox = Outbox(store, family="", random=random or Random())  # noqa: S311 (jitter)
        self._webhooks: dict[str, WebhookConfig] = {}
        self._reader: asyncio.Task[None] | None = None

    @property
    def given_up(self) -> int:
        """Events that a webhook was not told of: there were too many, they were too old, or not wanted."""
        return self._outbox.given_up

    async def start(self) -> None:
        """Raises StartError: the store cannot be used."""
        await self.reconfigure(self._config)
        reading = self._outbox.follow(self._events, self._deliveries_of)
        self._reader = log.watched(asyncio.create_task(reading, name="webhooks"))

    async def reconfigure(self, config: Config) -> None:
        """For the events from now on. What waits for a URL that is no more is forgotten.

        Raises StartError, having changed nothing.
        """
        await self._outbox.reconfigure([_target(webhook) for webhook in config.webhooks])
        self._webhooks = {key_of(webhook): webhook for webhook in config.webhooks}

    async def stop(self) -> None:
        self._events.close()
        await self._outbox.stop(self._reader)

    def _deliveries_of(self, event: StreamEvent, now: int) -> list[Delivery]:
        if (notice := notice_of(event)) is None:
            return []
        wanting = [key for key, webhook in self._webhooks.items() if _wants(webhook, notice)]
        if not wanting:
            return []
        post = Post(
            id=str(uuid.uuid4()),
            event=notice.event,
            stream=notice.stream,
            session=notice.session,
            reason=notice.reason,
            path=notice.path,
            time=now,
        )
        body = msgspec.json.encode(post)
        return [
            Delivery(hook=key, stream=post.stream, id=post.id, event=post.event, body=body, created_ms=now)
            for key in wanting
        ]


def key_of(config: WebhookConfig) -> str:
    return hashlib.sha256(config.url.encode()).hexdigest()


def _wants(config: WebhookConfig, notice: Notice) -> bool:
    return (not config.events or notice.event in config.events) and (
        not config.streams or any(fnmatchcase(notice.stream, pattern) for pattern in config.streams)
    )


def _target(config: WebhookConfig) -> Target:
    return Target(
        key=key_of(config),
        url=config.url,
        headers=functools.partial(_headers, config.secret),
        max_age_seconds=config.max_age_seconds,
    )


def _headers(secret: str, delivery: Delivery) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "live777py",
        "Live777-Event": delivery.event,
        "Live777-Delivery": delivery.id,
        "Live777-Signature": sign(secret, delivery.body, int(time.time())),
    }
