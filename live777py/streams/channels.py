"""Who hears what is said on the data channels of a stream: viewers the publisher, the publisher its viewers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.rtc.channels import DataChannels, Message
    from live777py.streams.session import Role

BRIDGE_LABEL: Final = "udp"
"""Of what comes from the bridge: a viewer who has no channel of this name gets it on the first one of its own."""

AT_ONCE: Final = 64
"""Listeners that are told before the event loop has its turn: about two milliseconds."""
CPU_SHARE: Final = 0.5
"""Of the time that a message to more listeners than that takes, what it may take from others."""
MAX_WAITING: Final = 64
"""Messages of one stream that wait for their turn."""


class Member(Protocol):
    """A session that negotiated data channels: `streams.live.LiveSession`."""

    @property
    def role(self) -> Role: ...
    @property
    def channels(self) -> DataChannels | None:
        """None while the session is not connected."""


class Bridge(Protocol):
    """Stands on the publisher's side: `streams.udp_bridge.UdpBridge`."""

    def send(self, datagram: bytes) -> None: ...


class ChannelTotals:
    """Messages to listeners, of all streams that ever were."""

    def __init__(self) -> None:
        self.sent = 0
        self.lost = 0


class ChannelHub:
    """One stream's. Text stays text, binary stays binary; a label is kept where the listener has a channel for it.

    A listener that is slow or gone loses messages, and holds up nobody. Every listener gets its messages in order.
    """

    __slots__ = ("_members", "_totals", "_waiting", "bridge")

    def __init__(self, totals: ChannelTotals | None = None) -> None:
        self.bridge: Bridge | None = None
        self._totals = totals or ChannelTotals()
        self._members: dict[Member, None] = {}
        self._waiting: deque[tuple[Iterator[Member], str, Message]] = deque()

    def join(self, member: Member) -> None:
        self._members[member] = None

    def leave(self, member: Member) -> None:
        self._members.pop(member, None)

    def heard(self, member: Member, label: str, message: Message) -> None:
        """`member` said this."""
        if member not in self._members:
            return
        if member.role == "publish":
            self._tell("subscribe", label, message)
            return
        self._tell("publish", label, message)
        if self.bridge is not None:
            self.bridge.send(message.encode() if isinstance(message, str) else message)

    def heard_bridge(self, datagram: bytes) -> None:
        self._tell("subscribe", BRIDGE_LABEL, datagram)

    def _tell(self, role: Role, label: str, message: Message) -> None:
        listeners = [member for member in self._members if member.role == role]
        if len(self._waiting) == MAX_WAITING:
            self._totals.lost += len(listeners)
            return
        self._waiting.append((iter(listeners), label, message))
        if len(self._waiting) == 1:
            self._work()

    def _work(self) -> None:
        """Tell `AT_ONCE` listeners, and the others later."""
        began = time.thread_time()
        told = 0
        while self._waiting:
            listeners, label, message = self._waiting[0]
            for listener in listeners:
                if listener.channels is not None:
                    sent = listener.channels.send(label, message)
                    self._totals.sent += sent
                    self._totals.lost += not sent
                told += 1
                if told == AT_ONCE:
                    pause = (time.thread_time() - began) * (1 / CPU_SHARE - 1)
                    asyncio.get_running_loop().call_later(pause, self._work)
                    return
            self._waiting.popleft()
