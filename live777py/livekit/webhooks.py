"""`[livekit.webhook]`: what happens in rooms, posted as LiveKit does (livekit/protocol, webhook and auth packages)."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import logging
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec
from google.protobuf.json_format import MessageToDict
from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.webhook import WebhookEvent

from live777py import log
from live777py.hooks.outbox import Outbox
from live777py.hooks.receiver import Target
from live777py.livekit.ids import EVENT, new_id
from live777py.livekit.room_events import (
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from live777py.livekit.tokens import create_token
from live777py.store import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.livekit.room_events import RoomEvent, RoomEvents
    from live777py.store import Database

EVENTS: Final[Mapping[type[RoomEvent], str]] = {
    RoomStarted: "room_started",
    RoomFinished: "room_finished",
    ParticipantJoined: "participant_joined",
    ParticipantLeft: "participant_left",
    ParticipantAborted: "participant_connection_aborted",
    TrackPublished: "track_published",
    TrackUnpublished: "track_unpublished",
}
MAX_ATTEMPTS: Final = 5
LONGEST_RETRY: Final = 30.0
TOKEN_LIFE: Final = 300
"""Seconds."""
MAX_AGE: Final = 86_400
"""Seconds that an event may wait, for instance while this process is not running."""

_FAMILY: Final = "livekit:"
_CAPACITY: Final = 65_536
_TOO_MANY_REQUESTS: Final = 429
_NOT_IMPLEMENTED: Final = 501

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """`include_events` wins over `exclude_events`; empty ones exclude nothing."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    api_key: str = ""
    secret: str = field(default="", repr=False)
    include_events: frozenset[str] = frozenset()
    exclude_events: frozenset[str] = frozenset()

    def wants(self, event: str) -> bool:
        if self.include_events:
            return event in self.include_events
        return event not in self.exclude_events


class RoomWebhooks:
    """Usage: `await start()` before the first event that counts, `await stop()` after the last.

    All events of a room are posted in order, and nothing overtakes what has not been taken or given up. Without URLs
    the store is not opened. It belongs to the caller, who closes it after `stop`.
    """

    def __init__(
        self, events: RoomEvents, settings: WebhookSettings, store: Database, *, random: Random | None = None
    ) -> None:
        self._events = events.subscribe(capacity=_CAPACITY)
        self._settings = settings
        self._outbox = Outbox(store, family=_FAMILY, random=random or Random())  # noqa: S311 (jitter)
        self._reader: asyncio.Task[None] | None = None

    @property
    def given_up(self) -> int:
        """Events that a URL was not told of: there were too many, they were too old, or not taken."""
        return self._outbox.given_up

    async def start(self) -> None:
        """Raises StartError: the store cannot be used."""
        await self.reconfigure(self._settings)
        reading = self._outbox.follow(self._events, self._deliveries_of)
        self._reader = log.watched(asyncio.create_task(reading, name="room-webhooks"))

    async def reconfigure(self, settings: WebhookSettings) -> None:
        """For the events from now on. What waits for a URL that is no more is forgotten.

        Raises StartError, having changed nothing.
        """
        await self._outbox.reconfigure([_target(url, settings) for url in settings.urls])
        self._settings = settings

    async def stop(self) -> None:
        self._events.close()
        await self._outbox.stop(self._reader)

    def _deliveries_of(self, event: RoomEvent, now: int) -> list[Delivery]:
        settings = self._settings
        if not settings.urls or not settings.wants(EVENTS[type(event)]):
            return []
        message = message_of(event, new_id(EVENT), now // 1000)
        body = msgspec.json.encode(MessageToDict(message))
        return [
            Delivery(
                hook=_key_of(url), stream=event.room.name, id=message.id, event=message.event, body=body, created_ms=now
            )
            for url in settings.urls
        ]


def message_of(event: RoomEvent, identifier: str, created_at: int) -> WebhookEvent:
    """`created_at` in Unix seconds. Events of tracks name room and participant, the others show them whole."""
    message = WebhookEvent(event=EVENTS[type(event)], id=identifier, created_at=created_at)
    match event:
        case (
            TrackPublished(room=room, participant=participant, track=track)
            | TrackUnpublished(room=room, participant=participant, track=track)
        ):
            message.room.CopyFrom(Room(sid=room.sid, name=room.name))
            message.participant.CopyFrom(ParticipantInfo(sid=participant.sid, identity=participant.identity))
            message.track.CopyFrom(track)
        case RoomStarted(room=room):
            message.room.CopyFrom(room)
        case RoomFinished(room=room, reason=reason):
            message.room.CopyFrom(room)
            message.room_end_reason = reason
        case _:
            message.room.CopyFrom(event.room)
            message.participant.CopyFrom(event.participant)
    return message


def authorization(api_key: str, secret: str, body: bytes, now: int) -> str:
    """The token that says that the body is ours, at `now` in Unix seconds. It stands alone, without `Bearer`."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return create_token(api_key, secret, ttl=TOKEN_LIFE, now=now, sha256=digest)


def _key_of(url: str) -> str:
    return _FAMILY + hashlib.sha256(url.encode()).hexdigest()


def _target(url: str, settings: WebhookSettings) -> Target:
    return Target(
        key=_key_of(url),
        url=url,
        headers=functools.partial(_headers, settings),
        max_age_seconds=MAX_AGE,
        max_attempts=MAX_ATTEMPTS,
        longest_retry=LONGEST_RETRY,
        is_final=_is_final,
    )


def _headers(settings: WebhookSettings, delivery: Delivery) -> Mapping[str, str]:
    return {
        "Content-Type": "application/webhook+json",
        "User-Agent": "LiveKit",
        "Authorization": authorization(settings.api_key, settings.secret, delivery.body, int(time.time())),
    }


def _is_final(status: int) -> bool:
    return status == _NOT_IMPLEMENTED or (status < 500 and status != _TOO_MANY_REQUESTS)
