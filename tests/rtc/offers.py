"""Offers to negotiate about: those of real clients, and small ones built for one point."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from live777py.rtc import sdp
from live777py.rtc.negotiation import CodecPolicy, LocalPeer, PlayPlan, PublishedMedia, host_candidates, plan_play

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent.parent / "data" / "offers"
FINGERPRINT = ":".join(["AB"] * 32)
ANYTHING = CodecPolicy()
LOCAL = LocalPeer(
    ice_ufrag="local777",
    ice_pwd="local777local777local777",
    fingerprint=("sha-256", FINGERPRINT),
    candidates=host_candidates([("192.0.2.7", 7777), ("2001:db8::7", 7777)]),
    ice_lite=True,
    session_id=4242,
)
CLIENT = replace(LOCAL, ice_lite=False)
"""What offers of ours come from."""


def recorded(name: str) -> str:
    return (DATA / name).read_bytes().decode()


def names() -> list[str]:
    return sorted(path.name for path in DATA.glob("*.sdp"))


def with_simulcast(base: str, lines: str) -> str:
    """The video section of one recorded offer, alone, as another capture says it looks with three layers."""
    description = sdp.parse(recorded(base))
    extra = [line for line in recorded(lines).splitlines() if line.startswith("a=")]
    video = next(section for section in description.media if section.kind == "video")
    kept = [line for line in video.lines if not line.startswith(("a=extmap:", "a=ssrc"))]
    session = [line.replace("BUNDLE 0 1", "BUNDLE 1") for line in description.session.lines]
    return "\r\n".join([*session, video.header, *kept, *extra]) + "\r\n"


TRANSPORT = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass",
    "a=rtcp-mux",
)
OPUS = ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", "a=rtpmap:111 opus/48000/2")
VP8 = ("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=rtpmap:96 VP8/90000")


def build(*sections: tuple[str, ...], session: tuple[str, ...] = (), direction: str = "sendonly") -> str:
    """An offer of these m-sections, in one bundle, each with what the transport needs unless it has some of it."""
    mids = [line.removeprefix("a=mid:") for section in sections for line in section if line.startswith("a=mid:")]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}", *session]
    for section in sections:
        lines += section
        lines += [line for line in TRANSPORT if not any(own.startswith(line.partition(":")[0]) for own in section)]
        if not any(line.removeprefix("a=") in sdp.DIRECTIONS for line in section):
            lines.append(f"a={direction}")
    return "\r\n".join(lines) + "\r\n"


def without(offer: str, prefix: str) -> str:
    return "".join(line for line in offer.splitlines(keepends=True) if not line.startswith(prefix))


def video(payload_type: int, rtpmap: str, *more: str) -> tuple[str, ...]:
    return (f"m=video 9 UDP/TLS/RTP/SAVPF {payload_type}", "a=mid:v", f"a=rtpmap:{payload_type} {rtpmap}", *more)


def ssrcs() -> Callable[[], int]:
    return itertools.count(1000).__next__


def play(offer: str, published: list[PublishedMedia] | tuple[PublishedMedia, ...] | None = None) -> PlayPlan:
    return plan_play(offer, ANYTHING, published, new_ssrc=ssrcs(), cname="viewer")
