"""Offers of ours to viewers (draft-ietf-wish-whep-04 section 4.3.2), until they are answered. No I/O but a timer.

Until then there is no session: nobody is counted, listed or told of.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from live777py.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.rtc.offering import OfferedMedia
    from live777py.rtc.server import Reserved

VALID_SECONDS: Final = 30.0
"""Section 4.3.2, where the answer does not say otherwise."""
MAX_OFFERS: Final = 1000
"""That wait for an answer; the oldest one makes room."""


@dataclass(kw_only=True, slots=True)
class Offered:
    """`description` is what the viewer was sent; `answering` while its answer is looked at.

    `declined`: the viewer has ended the session, perhaps while its answer was looked at.
    """

    media: tuple[OfferedMedia, ...]
    data_channel: bool
    reserved: Reserved
    description: str = field(repr=False)
    answering: bool = False
    declined: bool = False


class CounterOffers:
    """By the names of stream and session."""

    def __init__(self) -> None:
        self._offers: dict[tuple[str, str], tuple[Offered, asyncio.TimerHandle]] = {}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._offers

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, stream: str, session: str, offered: Offered) -> None:
        if len(self._offers) >= MAX_OFFERS:
            self.forget(*next(iter(self._offers)))
        timer = asyncio.get_running_loop().call_later(VALID_SECONDS, self.forget, stream, session)
        self._offers[stream, session] = (offered, timer)

    def begin_answering(self, stream: str, session: str) -> Offered:
        """Until `answering` is False again nobody else answers. Raises `NotFound`, `Conflict`."""
        if (stream, session) not in self._offers:
            raise NotFound("no such session, or its offer was not answered in time")
        offered, _ = self._offers[stream, session]
        if offered.answering:
            raise Conflict("the offer is being answered")
        offered.answering = True
        return offered

    def forget(self, stream: str, session: str) -> bool:
        """Whether it was there."""
        offered, timer = self._offers.pop((stream, session), (None, None))
        if timer is not None:
            timer.cancel()
        return offered is not None

    def decline(self, stream: str, session: str) -> bool:
        """Whether it was there: then no session comes of it."""
        if (stream, session) not in self._offers:
            return False
        self._offers[stream, session][0].declined = True
        return self.forget(stream, session)

    def sessions(self) -> Iterator[str]:
        """The names of the sessions that these may become."""
        return (session for _, session in self._offers)

    def clear(self) -> None:
        for stream, session in tuple(self._offers):
            self.forget(stream, session)
