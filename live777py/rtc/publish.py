"""WHIP: from a publisher's offer to what is received and what is answered (RFC 9725 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from live777py.rtc.parameters import CodecPolicy, LocalPeer, PublishedMedia, RemotePeer


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishPlan:
    remote: RemotePeer
    media: tuple[PublishedMedia, ...]

    def answer(self, local: LocalPeer) -> str:
        raise NotImplementedError


def plan_publish(offer: str, policy: CodecPolicy) -> PublishPlan:
    raise NotImplementedError
