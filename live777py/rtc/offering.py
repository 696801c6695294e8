"""Offers of ours, as a player (WHEP) and as a publisher (WHIP): what is wanted or sent, and the SDP that says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from live777py.rtc import sctp_section
from live777py.rtc.answer import codec_lines, default_address, payload_types, transport_lines
from live777py.rtc.codecs import KNOWN, allowed, fmtp_for_unknown_publisher, fmtp_for_viewer, rank
from live777py.rtc.described import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    FRAME_MARKING,
    MID,
    PLAYOUT_DELAY,
    REPAIRED_RID,
    RID,
    TRANSPORT_CC,
    VIDEO_ORIENTATION,
    is_token,
)
from live777py.rtc.parameters import Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from live777py.rtc.parameters import CodecPolicy, Kind, LocalPeer, PublishedMedia

_VIDEO_FEEDBACK: Final = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})
_AUDIO_FEEDBACK: Final = frozenset({"transport-cc"})
_FEEDBACK: Final = {"audio": _AUDIO_FEEDBACK, "video": _VIDEO_FEEDBACK}

# One number for one extension in the whole bundle (RFC 8285 section 6).
_EXTENSIONS: Final[dict[Kind, tuple[tuple[int, str], ...]]] = {
    "audio": ((1, MID), (2, ABS_SEND_TIME), (3, TRANSPORT_CC), (4, AUDIO_LEVEL)),
    "video": (
        (1, MID),
        (2, ABS_SEND_TIME),
        (3, TRANSPORT_CC),
        (5, VIDEO_ORIENTATION),
        (6, PLAYOUT_DELAY),
        (7, DEPENDENCY_DESCRIPTOR),
        (10, FRAME_MARKING),
    ),
}
_LAYER_EXTENSIONS: Final = ((8, RID), (9, REPAIRED_RID))
_MAX_RID: Final = 16  # bytes of a header extension of the one-byte form (RFC 8285 section 4.2)

FIRST_MID: Final = "0"
"""Of the section that tags the bundle."""

_OPUS: Final = 111
_RED: Final = 63
# Dynamic numbers, those that look like RTCP left out (RFC 5761 section 4).
_DYNAMIC: Final = (*range(96, 128), *range(35, 64))

_AUDIO: Final = (
    (_OPUS, "opus", 2, "minptime=10;useinbandfec=1;stereo=1"),
    (_RED, "red", 2, f"{_OPUS}/{_OPUS}"),
    (9, "G722", None, ""),
    (0, "PCMU", None, ""),
    (8, "PCMA", None, ""),
)
# Nothing is decoded, so every profile is welcome. The level is the one that all browsers write: it says how much, and
# what says too much is still forwarded.
_VIDEO: Final = (
    ("VP8", ""),
    ("VP9", "profile-id=0"),
    ("VP9", "profile-id=2"),
    ("VP9", "profile-id=1"),
    ("VP9", "profile-id=3"),
    *(
        ("H264", f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}")
        for mode, profile in (
            *((1, profile) for profile in ("42e01f", "42001f", "4d001f", "64001f", "640c1f", "f4001f")),
            *((0, profile) for profile in ("42e01f", "42001f", "4d001f", "64001f")),
        )
    ),
    ("H265", "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"),
    ("H265", "level-id=180;profile-id=2;tier-flag=0;tx-mode=SRST"),
    ("AV1", "level-idx=19;profile=0;tier=0"),
    ("AV1", "level-idx=19;profile=1;tier=0"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferedMedia:
    """One audio or video section of an offer of ours.

    `rids` are its simulcast layers, best first. `ssrc` and what follows describe what a publisher without them sends.
    """

    kind: Kind
    mid: str
    direction: Literal["recvonly", "sendonly"]
    codecs: tuple[Codec, ...]
    extensions: tuple[tuple[int, str], ...]
    rids: tuple[str, ...] = ()
    ssrc: int = 0
    rtx_ssrc: int | None = None
    cname: str = ""


def offer_to_play(policy: CodecPolicy) -> tuple[OfferedMedia, ...]:
    """One receiving section of each kind, with every codec that the gateway knows and `policy` allows."""
    wanted: dict[Kind, tuple[Codec, ...]] = {
        "audio": tuple(codec for codec in _audio_codecs() if allowed(policy.audio, KNOWN[codec.name.lower()])),
        "video": tuple(codec for codec in _video_codecs() if allowed(policy.video, KNOWN[codec.name.lower()])),
    }
    return tuple(
        OfferedMedia(kind=kind, mid=str(mid), direction="recvonly", codecs=codecs, extensions=_EXTENSIONS[kind])
        for mid, (kind, codecs) in enumerate((kind, codecs) for kind, codecs in wanted.items() if codecs)
    )


def offer_to_publish(
    media: Sequence[PublishedMedia], *, new_ssrc: Callable[[], int], cname: str
) -> tuple[OfferedMedia, ...]:
    """The tracks of a publisher as it sends them: its codec, fmtp and payload types, all its layers.

    The layers of a track are taken in the order of its `encodings`, which is to be best first. RTX is added where the
    publisher has none: repairing our own losses needs nothing of it.
    """
    used = {number for track in media for number in payload_types(track.codecs)}
    free = (number for number in _DYNAMIC if number not in used)
    offered = []
    for mid, track in enumerate(media):
        codecs = tuple(
            replace(
                codec,
                feedback=_FEEDBACK[track.kind],
                rtx_payload_type=_repairing(codec, free) if track.kind == "video" else None,
            )
            for codec in track.codecs
        )
        rids = _rids(track)
        offered.append(
            OfferedMedia(
                kind=track.kind,
                mid=str(mid),
                direction="sendonly",
                codecs=codecs,
                extensions=_EXTENSIONS[track.kind] + (_LAYER_EXTENSIONS if rids else ()),
                rids=rids,
                ssrc=new_ssrc(),
                rtx_ssrc=new_ssrc() if track.kind == "video" else None,
                cname=cname,
            )
        )
    return tuple(offered)


def offer_to_view(
    published: Sequence[PublishedMedia] | None, policy: CodecPolicy, *, new_ssrc: Callable[[], int], cname: str
) -> tuple[OfferedMedia, ...]:
    """To a viewer (draft-ietf-wish-whep-04 section 4.3.2): what the publisher sends, as it sends it.

    After it comes every other codec that the gateway knows and `policy` allows, for the next publisher. A kind that the
    publisher lacks is not offered; None is no publisher yet.
    """
    sent = {track.kind: track for track in reversed(published or ())}
    numbers = _Numbers({number for track in sent.values() for number in payload_types(track.codecs)})
    others: dict[Kind, Iterable[Codec]] = {
        "audio": (codec for codec in _audio_codecs() if codec.name != "red"),
        "video": _video_codecs(),
    }
    offered: list[OfferedMedia] = []
    for kind, known in others.items():
        track = sent.get(kind)
        if published is not None and track is None:
            continue
        codecs = [_as_sent(codec, kind, numbers) for codec in (() if track is None else track.codecs)]
        names = policy.audio if kind == "audio" else policy.video
        for codec in known:
            same = any(rank(ours, codec) == 0 for ours in codecs)
            if not same and allowed(names, KNOWN[codec.name.lower()]):
                codecs.append(_renumbered(codec, numbers))
        if codecs:
            offered.append(
                OfferedMedia(
                    kind=kind,
                    mid=str(len(offered)),
                    direction="sendonly",
                    codecs=tuple(codecs),
                    extensions=_EXTENSIONS[kind],
                    ssrc=new_ssrc(),
                    rtx_ssrc=new_ssrc() if kind == "video" else None,
                    cname=cname,
                )
            )
    return tuple(offered)


class _Numbers:
    """Payload types: one means one codec in all of the bundle (RFC 9143 section 9)."""

    def __init__(self, used: set[int]) -> None:
        self._used = used

    def take(self, wanted: int | None = None) -> int:
        """`wanted` if it is free."""
        if wanted is None or wanted in self._used:
            wanted = next(number for number in _DYNAMIC if number not in self._used)
        self._used.add(wanted)
        return wanted


def _as_sent(codec: Codec, kind: Kind, numbers: _Numbers) -> Codec:
    repairing = codec.rtx_payload_type
    if kind == "video" and repairing is None:
        repairing = numbers.take()
    return replace(codec, fmtp=fmtp_for_viewer(codec, codec), feedback=_FEEDBACK[kind], rtx_payload_type=repairing)


def _renumbered(codec: Codec, numbers: _Numbers) -> Codec:
    return replace(
        codec,
        payload_type=numbers.take(codec.payload_type),
        rtx_payload_type=None if codec.rtx_payload_type is None else numbers.take(codec.rtx_payload_type),
        fmtp=fmtp_for_unknown_publisher(codec),
    )


def write_offer(media: Sequence[OfferedMedia], local: LocalPeer, *, data_channel: bool = False) -> str:
    """One bundle, `actpass`, with all candidates in its first section (RFC 9725 section 4.3.2)."""
    port, address = default_address(local)
    sections: list[tuple[str, ...]] = [
        (f"m={section.kind} {port} UDP/TLS/RTP/SAVPF {_numbers(section)}", f"a=mid:{section.mid}", *_lines(section))
        for section in media
    ]
    mids = [section.mid for section in media]
    if data_channel:
        mids.append(str(len(media)))
        sections.append(sctp_section.offer_lines(mids[-1]))
    lines = [
        "v=0",
        f"o=- {local.session_id} 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}",
        "a=extmap-allow-mixed",
        "a=msid-semantic:WMS *",
        *(("a=ice-lite",) if local.ice_lite else ()),
        "a=ice-options:trickle ice2",
    ]
    for index, (header, *attributes) in enumerate(sections):
        lines += [header, f"c={address}"]
        if index == 0:
            lines += [f"a={candidate}" for candidate in local.candidates]
            lines.append("a=end-of-candidates")
        lines += [*transport_lines(local, setup="actpass"), *attributes]
    return "\r\n".join(lines) + "\r\n"


def _lines(section: OfferedMedia) -> Iterator[str]:
    for number, uri in section.extensions:
        yield f"a=extmap:{number} {uri}"
    yield f"a={section.direction}"
    # RFC 9725 section 4.4.1 asks for both; the second says that there is no other way (RFC 8858).
    yield from ("a=rtcp-mux", "a=rtcp-mux-only", "a=rtcp-rsize")
    yield from codec_lines(section.codecs)
    if section.direction == "sendonly":
        yield f"a=msid:{section.cname} {section.kind}"
        yield from _layers(section.rids) if section.rids else _sources(section)


def _layers(rids: tuple[str, ...]) -> Iterator[str]:
    """RFC 8853 section 5.1. SSRCs beside them would belong to no particular layer."""
    for rid in rids:
        yield f"a=rid:{rid} send"
    yield f"a=simulcast:send {';'.join(rids)}"


def _sources(section: OfferedMedia) -> Iterator[str]:
    ssrcs = [section.ssrc]
    if section.rtx_ssrc is not None:
        ssrcs.append(section.rtx_ssrc)
        yield f"a=ssrc-group:FID {section.ssrc} {section.rtx_ssrc}"
    for ssrc in ssrcs:
        yield f"a=ssrc:{ssrc} cname:{section.cname}"
        yield f"a=ssrc:{ssrc} msid:{section.cname} {section.kind}"


def _numbers(section: OfferedMedia) -> str:
    return " ".join(map(str, payload_types(section.codecs)))


def _rids(track: PublishedMedia) -> tuple[str, ...]:
    """Empty where there is one layer, or one that could not be named in every packet."""
    rids = tuple(encoding.rid or "" for encoding in track.encodings)
    usable = all(is_token(rid) and len(rid) <= _MAX_RID for rid in rids)
    return rids if usable and len(rids) > 1 else ()


def _repairing(codec: Codec, free: Iterator[int]) -> int | None:
    return next(free, None) if codec.rtx_payload_type is None else codec.rtx_payload_type


def _audio_codecs() -> Iterator[Codec]:
    for number, name, channels, fmtp in _AUDIO:
        yield Codec(
            payload_type=number,
            name=name,
            clock_rate=KNOWN[name.lower()].clock_rate,
            channels=channels,
            fmtp=fmtp,
            feedback=_AUDIO_FEEDBACK,
        )


def _video_codecs() -> Iterator[Codec]:
    """Numbered whatever is allowed of them, so that a number means the same in every offer."""
    numbers = iter(number for number in _DYNAMIC if number not in (_OPUS, _RED))
    for (name, fmtp), number in zip(_VIDEO, numbers, strict=False):
        yield Codec(
            payload_type=number,
            name=name,
            clock_rate=KNOWN[name.lower()].clock_rate,
            fmtp=fmtp,
            feedback=_VIDEO_FEEDBACK,
            rtx_payload_type=next(numbers),
        )
