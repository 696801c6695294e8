"""Answers to offers of ours: what of the offer was accepted. Another server wrote them: nothing in them is trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from live777py.errors import ClientError, Unprocessable, UpstreamError
from live777py.rtc.described import (
    RID,
    TRANSPORT_CC,
    Described,
    RtpSection,
    offered_codecs,
    opus_inside,
    read_description,
    read_transport,
    require_one_meaning,
    sources,
)
from live777py.rtc.parameters import Codec, CodecPolicy, PlayedMedia, PublishedMedia
from live777py.rtc.play import payload_map

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from live777py.rtc import sdp
    from live777py.rtc.offering import OfferedMedia
    from live777py.rtc.parameters import DtlsRole, RemotePeer

# RFC 8842 section 5.3: an answer decides, so `actpass` and nothing are none.
_ROLES: Final[dict[str | None, DtlsRole]] = {"active": "passive", "passive": "active"}
_ANY: Final = CodecPolicy()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayAnswer:
    """What the other side will send. A section may name several codecs: which one comes, its packets tell."""

    remote: RemotePeer
    media: tuple[PublishedMedia, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishAnswer:
    """What the other side takes: one entry for each layer, and for each track without layers."""

    remote: RemotePeer
    media: tuple[PlayedMedia, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewAnswer:
    """What a viewer takes of an offer of ours."""

    remote: RemotePeer
    media: tuple[PlayedMedia, ...]


def read_play_answer(text: str, offered: Sequence[OfferedMedia]) -> PlayAnswer:
    """Raises `UpstreamError` for what cannot be used or sends nothing; nothing else, whatever the text."""
    try:
        described, remote, pairs = _read(text, offered)
        media = []
        for section, ours in pairs:
            extensions = _extensions(described, section, ours, unused="recvonly")
            codecs = _codecs(section, ours, extensions)
            if section.direction not in ("sendonly", "sendrecv") or not codecs:
                continue
            media.append(
                PublishedMedia(
                    kind=ours.kind,
                    mid=ours.mid,
                    codecs=codecs,
                    encodings=sources(section.media),
                    extensions=extensions,
                    msid=section.media.msid,
                )
            )
        require_one_meaning(media)
    except ClientError as error:
        raise _unusable(error) from None
    if not media and remote.data_channel is None:
        raise UpstreamError("the answer sends nothing")
    return PlayAnswer(remote=remote, media=tuple(media))


def read_publish_answer(text: str, offered: Sequence[OfferedMedia], *, new_ssrc: Callable[[], int]) -> PublishAnswer:
    """`new_ssrc` makes those of layers. Raises `UpstreamError` for what cannot be used or takes nothing."""
    try:
        described, remote, pairs = _read(text, offered)
        media: list[PlayedMedia] = []
        for section, ours in pairs:
            extensions = _extensions(described, section, ours, unused="sendonly")
            accepted = _codecs(section, ours, extensions)
            whole = {codec.payload_type for codec in accepted} == {codec.payload_type for codec in ours.codecs}
            if section.direction not in ("recvonly", "sendrecv") or not whole:
                continue
            media += _layers(section, ours, accepted, extensions, new_ssrc)
    except ClientError as error:
        raise _unusable(error) from None
    if not media and remote.data_channel is None:
        raise UpstreamError("the answer takes nothing of what was offered")
    return PublishAnswer(remote=remote, media=tuple(media))


def read_view_answer(
    text: str, offered: Sequence[OfferedMedia], published: Sequence[PublishedMedia] | None, *, data_channel: bool
) -> ViewAnswer:
    """A viewer's answer to `offering.offer_to_view`; `published` is as it is now, None without a publisher.

    A section may be refused. Raises `errors.BadRequest` for what is no SDP, and `errors.Unprocessable` where nothing
    would be played, or where a section takes none of what is sent in it; nothing else, whatever the text.
    """
    described, remote, pairs = _read(text, offered)
    if described.description.ice_lite:
        raise Unprocessable("the answer is ICE-lite, and the gateway waits for checks: nobody would begin")
    media = []
    for section, ours in pairs:
        extensions = _extensions(described, section, ours, unused="sendonly")
        accepted = {codec.payload_type: codec for codec in _codecs(section, ours, extensions)}
        if section.direction == "inactive":
            continue
        if section.direction != "recvonly":
            raise Unprocessable("a viewer's answer is recvonly (draft-ietf-wish-whep-04 section 4.3.5)")
        played = PlayedMedia(
            kind=ours.kind,
            mid=ours.mid,
            index=section.index,
            # In our order: what is sent now stands first.
            codecs=tuple(accepted[codec.payload_type] for codec in ours.codecs if codec.payload_type in accepted),
            extensions=extensions,
            ssrc=ours.ssrc,
            rtx_ssrc=ours.rtx_ssrc if any(codec.rtx_payload_type is not None for codec in accepted.values()) else None,
            cname=ours.cname,
            active=True,
        )
        track = next((track for track in published or () if track.kind == ours.kind), None)
        if not played.codecs or (track is not None and payload_map(track, played) is None):
            sent = "what the publisher sends" if track is None else track.codecs[0].name
            raise Unprocessable(f"the {ours.kind} section of the answer does not take {sent}")
        media.append(played)
    if not media and not (data_channel and remote.data_channel is not None):
        raise Unprocessable("the answer takes nothing of what was offered")
    return ViewAnswer(remote=remote if data_channel else replace(remote, data_channel=None), media=tuple(media))


def alternatives(media: PublishedMedia) -> tuple[PublishedMedia, ...]:
    """The same section with each one of its codecs alone (RED with the Opus inside it), in the order of the answer."""
    found = []
    for codec in media.codecs:
        inside = opus_inside(codec, media.codecs) if codec.name == "red" else None
        found.append(replace(media, codecs=(codec,) if inside is None else (codec, inside)))
    return tuple(found)


def _read(
    text: str, offered: Sequence[OfferedMedia]
) -> tuple[Described, RemotePeer, list[tuple[RtpSection, OfferedMedia]]]:
    """The accepted sections, each with the one of ours that it answers."""
    described = read_description(text)
    ours = {section.mid: section for section in offered}
    pairs = []
    for section in described.sections:
        match = ours.get(section.mid)
        if match is None or match.kind != section.kind:
            raise Unprocessable("an m-section answers nothing that was offered")
        pairs.append((section, match))
    return described, read_transport(described, _ROLES), pairs


def _codecs(section: RtpSection, ours: OfferedMedia, extensions: tuple[tuple[int, str], ...]) -> tuple[Codec, ...]:
    """Those under a number and name of ours, in the order of the answer, with the feedback that both ends know."""
    known = {codec.payload_type: codec for codec in ours.codecs}
    kept = []
    for codec in offered_codecs(section, _ANY, with_transport_cc=_has(extensions, TRANSPORT_CC)):
        own = known.get(codec.payload_type)
        if own is None or (own.name, own.clock_rate) != (codec.name, codec.clock_rate):
            continue
        repairing = codec.rtx_payload_type if codec.rtx_payload_type == own.rtx_payload_type else None
        fmtp = own.fmtp if ours.direction == "sendonly" else codec.fmtp or own.fmtp
        kept.append(replace(own, feedback=codec.feedback & own.feedback, rtx_payload_type=repairing, fmtp=fmtp))
    return tuple(codec for codec in kept if codec.name != "red" or opus_inside(codec, kept) is not None)


def _extensions(
    described: Described, section: RtpSection, ours: OfferedMedia, *, unused: sdp.Direction
) -> tuple[tuple[int, str], ...]:
    """Those under a number of ours (RFC 8285 section 6)."""
    wanted = frozenset(uri for _, uri in ours.extensions)
    answered = {(extmap.id, extmap.uri) for extmap in described.extmaps(section, wanted, unused=unused)}
    return tuple(pair for pair in ours.extensions if pair in answered)


def _layers(
    section: RtpSection,
    ours: OfferedMedia,
    codecs: tuple[Codec, ...],
    extensions: tuple[tuple[int, str], ...],
    new_ssrc: Callable[[], int],
) -> list[PlayedMedia]:
    """One for each accepted layer. Where the answer is without simulcast, one for whichever layer is best."""
    wanted = {choice.rid for stream in section.media.simulcast_recv for choice in stream if not choice.paused}
    named = {rid.id for rid in section.media.rids if rid.direction == "recv" and _takes(rid, codecs)}
    rids = tuple(rid for rid in ours.rids if rid in wanted & named)
    repaired = any(codec.rtx_payload_type is not None for codec in codecs)
    if not _has(extensions, RID):
        rids = ()

    def played(rid: str | None, ssrc: int, rtx_ssrc: int | None) -> PlayedMedia:
        return PlayedMedia(
            kind=ours.kind,
            mid=ours.mid,
            index=section.index,
            codecs=codecs,
            extensions=extensions,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc if repaired else None,
            cname=ours.cname,
            active=True,
            rid=rid,
        )

    return [played(rid, new_ssrc(), new_ssrc()) for rid in rids] or [played(None, ours.ssrc, ours.rtx_ssrc)]


def _takes(rid: sdp.Rid, codecs: tuple[Codec, ...]) -> bool:
    """RFC 8851 section 5: `pt=` limits a layer to some payload types."""
    types = dict(rid.restrictions).get("pt")
    return types is None or str(codecs[0].payload_type) in types.split(",")


def _has(extensions: tuple[tuple[int, str], ...], uri: str) -> bool:
    return any(other == uri for _, other in extensions)


def _unusable(error: ClientError) -> UpstreamError:
    return UpstreamError(f"the answer cannot be used: {error.detail}")
