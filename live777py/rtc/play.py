"""WHEP: from a viewer's offer to what is sent and what is answered (draft-ietf-wish-whep-04 section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from live777py.rtc.parameters import CodecPolicy, LocalPeer, PlayedMedia, PublishedMedia, RemotePeer


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayPlan:
    remote: RemotePeer
    media: tuple[PlayedMedia, ...]

    def answer(self, local: LocalPeer) -> str:
        raise NotImplementedError


def plan_play(
    offer: str,
    policy: CodecPolicy,
    published: Sequence[PublishedMedia] | None,
    *,
    new_ssrc: Callable[[], int],
    cname: str,
) -> PlayPlan:
    raise NotImplementedError


def payload_map(track: PublishedMedia, played: PlayedMedia) -> tuple[tuple[int, int], ...] | None:
    raise NotImplementedError
