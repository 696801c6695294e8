"""WHEP: from a viewer's offer to what is sent and what is answered (draft-ietf-wish-whep-04 section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from live777py import errors
from live777py.rtc import codecs
from live777py.rtc.answer import AnswerSection, codec_lines, extension_lines, payload_types, write_answer
from live777py.rtc.described import (
    FORWARDED_EXTENSIONS,
    TRANSPORT_CC,
    Extensions,
    offered_codecs,
    opus_inside,
    require_distinct_payload_types,
)
from live777py.rtc.offer import Offer, read_offer
from live777py.rtc.parameters import Codec, CodecPolicy, LocalPeer, PlayedMedia, PublishedMedia, RemotePeer, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class NoCommonCodec(errors.Unprocessable):
    """The viewer could play nothing of a kind; another offer than its own may help. `data_channel`: it wants one."""

    def __init__(self, detail: str, *, data_channel: bool) -> None:
        super().__init__(detail)
        self.data_channel = data_channel


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayPlan:
    """What a viewer will get, and how it is told so."""

    remote: RemotePeer
    media: tuple[PlayedMedia, ...]
    _offer: Offer = field(repr=False)
    _accepted: Mapping[int, AnswerSection] = field(repr=False)

    @property
    def data_channel(self) -> bool:
        return self.remote.data_channel is not None

    def answer(self, local: LocalPeer) -> str:
        return write_answer(self._offer, self._accepted, local)


def plan_play(
    offer: str,
    policy: CodecPolicy,
    published: Sequence[PublishedMedia] | None,
    *,
    new_ssrc: Callable[[], int],
    cname: str,
) -> PlayPlan:
    """Gives the first receiving section of each kind what the publisher has of it; `published` is None without one.

    An offer with data channels is answered even where there is nothing else to give.

    `new_ssrc` returns SSRCs that are free on the viewer's transport. `cname` is a token of at most 58 characters; it
    also names the viewer's one MediaStream (draft-ietf-wish-whep-04 section 4.6.2).

    Raises `errors.BadRequest` for what is no SDP and `errors.Unprocessable` where nothing could be played, as
    `NoCommonCodec` where a kind that both sides have shares no codec; nothing else, whatever the text.
    """
    read = read_offer(offer)
    media: list[PlayedMedia] = []
    accepted: dict[int, AnswerSection] = {}
    for section in read.sections:
        receives = section.direction in ("recvonly", "sendrecv")
        taken = any(other.kind == section.kind and other.active for other in media)
        track = next((track for track in published or () if track.kind == section.kind), None)
        extensions = read.extmaps(section, FORWARDED_EXTENSIONS, unused="sendonly")
        with_transport_cc = any(extmap.uri == TRANSPORT_CC for extmap in extensions)
        offered = offered_codecs(section, policy, with_transport_cc=with_transport_cc)
        active = receives and not taken and (published is None or track is not None)
        if active and track is not None:
            offered = _for_track(track, offered, data_channel=read.data is not None)
        elif active:
            offered = _undescribed(offered)
        if not offered:
            continue
        played = PlayedMedia(
            kind=section.kind,
            mid=section.mid,
            index=section.index,
            codecs=shared(offered),
            extensions=shared(tuple((extmap.id, extmap.uri) for extmap in extensions)),
            ssrc=new_ssrc(),
            rtx_ssrc=new_ssrc() if any(codec.rtx_payload_type is not None for codec in offered) else None,
            cname=cname,
            active=active,
        )
        media.append(played)
        accepted[section.index] = _answer(played, extensions)
    if not any(section.active for section in media) and read.data is None:
        raise errors.Unprocessable("the offer receives nothing that the stream can send")
    require_distinct_payload_types(section.codecs for section in media if section.active)
    return PlayPlan(remote=read.remote, media=tuple(media), _offer=read, _accepted=accepted)


def payload_map(track: PublishedMedia, played: PlayedMedia) -> tuple[tuple[int, int], ...] | None:
    """(the track's payload type, the viewer's) for each codec of the track, retransmissions left out.

    None where the viewer cannot play it: another kind, no common codec, or a section that is inactive.
    """
    if track.kind != played.kind or not played.active:
        return None
    matched = _match(track, played.codecs)
    if matched is None:
        return None
    return tuple((sent.payload_type, theirs.payload_type) for sent, theirs in zip(track.codecs, matched, strict=True))


def _match(track: PublishedMedia, offered: tuple[Codec, ...]) -> tuple[Codec, ...] | None:
    """The viewer's codec for each of the track's, in the track's order.

    RED names the payload type of its blocks inside the payload (RFC 2198 section 3), which is forwarded as it is.
    """
    primary = codecs.best(track.codecs[0], offered)
    if primary is None:
        return None
    if primary.name != "red":
        return (primary,)
    inside = opus_inside(primary, offered)
    if inside is None or inside.payload_type != track.codecs[1].payload_type:
        return None
    return (primary, inside)


def _for_track(track: PublishedMedia, offered: tuple[Codec, ...], *, data_channel: bool) -> tuple[Codec, ...]:
    """The viewer's codecs with those of the track in front, described as the publisher sends them."""
    matched = _match(track, offered)
    if matched is None:
        theirs = ", ".join(dict.fromkeys(codec.name for codec in offered)) or "none that is known and allowed"
        sent = " around opus ".join([track.codecs[0].name, *(str(codec.payload_type) for codec in track.codecs[1:])])
        raise NoCommonCodec(f"the publisher sends {sent}; the offer has {theirs}", data_channel=data_channel)
    described = tuple(
        replace(theirs, fmtp=codecs.fmtp_for_viewer(sent, theirs))
        for sent, theirs in zip(track.codecs, matched, strict=True)
    )
    return (*described, *_undescribed(codec for codec in offered if codec not in matched))


def _undescribed(offered: Iterable[Codec]) -> tuple[Codec, ...]:
    return tuple(replace(codec, fmtp=codecs.fmtp_for_unknown_publisher(codec)) for codec in offered)


def _answer(played: PlayedMedia, extensions: Extensions) -> AnswerSection:
    return AnswerSection(
        formats=payload_types(played.codecs),
        attributes=(
            *extension_lines(extensions),
            "a=sendonly" if played.active else "a=inactive",
            *codec_lines(played.codecs),
            *(_source_lines(played) if played.active else ()),
        ),
    )


def _source_lines(played: PlayedMedia) -> Iterator[str]:
    """RFC 8830 and RFC 5576, both: some players read the stream from the one, some from the other."""
    msid = f"{played.cname} {played.kind}"
    yield f"a=msid:{msid}"
    ssrcs = [played.ssrc]
    if played.rtx_ssrc is not None:
        ssrcs.append(played.rtx_ssrc)
        yield f"a=ssrc-group:FID {played.ssrc} {played.rtx_ssrc}"
    for ssrc in ssrcs:
        yield f"a=ssrc:{ssrc} cname:{played.cname}"
        yield f"a=ssrc:{ssrc} msid:{msid}"
