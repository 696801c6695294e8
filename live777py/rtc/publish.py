"""WHIP: from a publisher's offer to what is received and what is answered (RFC 9725 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from live777py import errors
from live777py.rtc import codecs
from live777py.rtc.answer import AnswerSection, codec_lines, extension_lines, payload_types, write_answer
from live777py.rtc.described import (
    FORWARDED_EXTENSIONS,
    LAYER_EXTENSIONS,
    MAX_LAYERS,
    RID,
    TRANSPORT_CC,
    Extensions,
    is_token,
    offered_codecs,
    opus_inside,
    require_one_meaning,
    require_unique,
    sources,
)
from live777py.rtc.offer import Offer, read_offer
from live777py.rtc.parameters import Codec, CodecPolicy, Encoding, LocalPeer, PublishedMedia, RemotePeer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from live777py.rtc import sdp

_WANTED_EXTENSIONS = FORWARDED_EXTENSIONS | LAYER_EXTENSIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishPlan:
    """What a publisher will send, and how it is told so."""

    remote: RemotePeer
    media: tuple[PublishedMedia, ...]
    _offer: Offer = field(repr=False)
    _accepted: Mapping[int, AnswerSection] = field(repr=False)

    @property
    def data_channel(self) -> bool:
        return self.remote.data_channel is not None

    def answer(self, local: LocalPeer) -> str:
        return write_answer(self._offer, self._accepted, local)


def plan_publish(offer: str, policy: CodecPolicy) -> PublishPlan:
    """Takes one audio and one video section at most, all of the offer's layers, one codec each; and data channels.

    A section whose codecs are all unknown fails the whole offer (RFC 9725 section 4.4.3). Raises `errors.BadRequest`
    for what is no SDP and `errors.Unprocessable` for what cannot be received; nothing else, whatever the text.
    """
    read = read_offer(offer)
    sending = [section for section in read.sections if section.direction in ("sendonly", "sendrecv")]
    if not sending and read.sections:
        raise errors.Unprocessable("the offer sends nothing: no section is sendonly or sendrecv")
    require_unique(
        (section.kind for section in sending), "only one section of a kind can be published (RFC 9725 section 4.4.2)"
    )
    media: list[PublishedMedia] = []
    accepted: dict[int, AnswerSection] = {}
    for section in read.sections:
        extensions = read.extmaps(section, _WANTED_EXTENSIONS, unused="recvonly")
        offered = offered_codecs(section, policy, with_transport_cc=_has(extensions, TRANSPORT_CC))
        if section not in sending:
            if offered:
                accepted[section.index] = _answer(_chosen(offered), (), ("a=inactive",))
            continue
        if not offered:
            raise errors.Unprocessable(f"no codec of the {section.kind} section is known and allowed")
        chosen = _chosen(offered)
        layers = _Layers.of(section.media, payload_types(chosen))
        if len(layers.rids) > 1 and not _has(extensions, RID):
            raise errors.Unprocessable("simulcast without the rtp-stream-id header extension (RFC 8853)")
        media.append(
            PublishedMedia(
                kind=section.kind,
                mid=section.mid,
                codecs=chosen,
                encodings=layers.encodings(section.media),
                extensions=tuple((extmap.id, extmap.uri) for extmap in extensions),
                msid=section.media.msid,
            )
        )
        accepted[section.index] = _answer(chosen, extensions, ("a=recvonly", *layers.lines()))
    require_one_meaning(media)
    return PublishPlan(remote=read.remote, media=tuple(media), _offer=read, _accepted=accepted)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layers:
    """The simulcast streams of a section (RFC 8853), every alternative of each counted as a layer."""

    rids: tuple[sdp.Rid, ...]
    streams: sdp.SimulcastStreams

    @classmethod
    def of(cls, media: sdp.MediaSection, accepted: tuple[int, ...]) -> _Layers:
        usable = {rid.id: kept for rid in media.rids if (kept := _restricted(rid, accepted)) is not None}
        if len(usable) > MAX_LAYERS:
            raise errors.Unprocessable(f"more than {MAX_LAYERS} simulcast layers")
        streams = (tuple(choice for choice in stream if choice.rid in usable) for stream in media.simulcast_send)
        return cls(rids=tuple(usable.values()), streams=tuple(stream for stream in streams if stream))

    def encodings(self, media: sdp.MediaSection) -> tuple[Encoding, ...]:
        """By rid where there are any: an SSRC beside them belongs to no particular one."""
        if self.rids:
            return tuple(Encoding(rid=rid.id) for rid in self.rids)
        return sources(media)

    def lines(self) -> Iterator[str]:
        for rid in self.rids:
            restrictions = ";".join(f"{name}={value}" if value else name for name, value in rid.restrictions)
            yield f"a=rid:{rid.id} recv {restrictions}".rstrip()
        if self.streams:
            yield "a=simulcast:recv " + ";".join(",".join(choice.rid for choice in stream) for stream in self.streams)


def _restricted(rid: sdp.Rid, accepted: tuple[int, ...]) -> sdp.Rid | None:
    """A layer as it is answered: `pt=` keeps what is accepted (RFC 8851 section 6.3); None if nothing is left of it."""
    if rid.direction != "send" or not is_token(rid.id):
        return None
    restrictions = []
    for name, value in rid.restrictions:
        if not is_token(name) or not value.isascii():
            return None
        if name == "pt":
            left = [word for word in value.split(",") if word in map(str, accepted)]
            if not left:
                return None
            restrictions.append((name, ",".join(left)))
        else:
            restrictions.append((name, value))
    return rid._replace(restrictions=tuple(restrictions))


def _chosen(offered: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """The publisher's first choice, so that the one codec the answer names is the one that comes."""
    first = offered[0]
    inside = opus_inside(first, offered) if first.name == "red" else None
    return (first,) if inside is None else (first, inside)


def _answer(chosen: tuple[Codec, ...], extensions: Extensions, lines: tuple[str, ...]) -> AnswerSection:
    answered = [replace(codec, fmtp=codecs.fmtp_for_publisher(codec)) for codec in chosen]
    return AnswerSection(
        formats=payload_types(chosen),
        attributes=(*extension_lines(extensions), *lines, *codec_lines(answered)),
    )


def _has(extensions: Extensions, uri: str) -> bool:
    return any(extmap.uri == uri for extmap in extensions)
