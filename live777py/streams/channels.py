"""Who hears what is said on the data channels of a stream: viewers the publisher, the publisher its viewers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from live777py.rtc.channels import DataChannels, Message
    from live777py.streams.session import Role

BRIDGE_LABEL: Final = "udp"
"""Of what comes from the bridge: a viewer who has no channel of this name gets it on the first one of its own."""


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


class ChannelHub:
    """One stream's. Text stays text, binary stays binary; a label is kept where the listener has a channel for it.

    A listener that is slow or gone loses messages, and holds up nobody.
    """

    __slots__ = ("_members", "bridge")

    def __init__(self) -> None:
        self.bridge: Bridge | None = None
        self._members: dict[Member, None] = {}

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
        for member in tuple(self._members):
            if member.role == role and member.channels is not None:
                member.channels.send(label, message)
