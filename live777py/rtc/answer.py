"""Writing an SDP answer: what stands in every one of them, whichever door it leaves by, and in our offers too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py.rtc import sctp_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from live777py.rtc import sdp
    from live777py.rtc.described import Extensions, TransportSection
    from live777py.rtc.offer import Offer
    from live777py.rtc.parameters import Codec, LocalPeer

_OPTIONS = ("trickle", "ice2")
_OPPOSITE: dict[str, sdp.Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSection:
    """An accepted m-section: the formats of its m-line, and its attributes but for those of the transport."""

    formats: tuple[int, ...] | tuple[str, ...]
    attributes: tuple[str, ...]


def write_answer(offer: Offer, accepted: Mapping[int, AnswerSection], local: LocalPeer) -> str:
    """The m-sections of the offer in its order.

    Of audio and video, those without an entry in `accepted` (by index) get port 0.

    Everything about the transport is repeated in each section, as browsers do: RFC 9143 section 7.1.3 would have it in
    the first only, but then a section is not readable by itself, and libdatachannel and FFmpeg read what comes first.
    The candidates stand in the first section of the bundle alone (RFC 9143 section 10).
    """
    session = offer.description.session
    lines = ["v=0", f"o=- {local.session_id} 0 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    sections: dict[int, TransportSection] = {
        section.index: section for section in offer.sections if section.index in accepted
    }
    if offer.data is not None:
        sections[offer.data.index] = offer.data
        accepted = {**accepted, offer.data.index: _data(offer.data)}
    bundle = _bundle(offer, sections.values())
    if bundle:
        lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    if session.extmap_allow_mixed:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic:WMS *")
    if local.ice_lite:
        lines.append("a=ice-lite")
    offered_options = {
        *session.ice_options,
        *(option for media in offer.description.media for option in media.ice_options),
    }
    options = [option for option in _OPTIONS if option in offered_options]
    if options:
        lines.append(f"a=ice-options:{' '.join(options)}")

    tagged = _tagged(sections.values(), bundle)
    transport = transport_lines(local, setup=offer.remote.dtls_role)
    port, address = default_address(local)
    for index, media in enumerate(offer.description.media):
        section = sections.get(index)
        if section is None:
            lines += _refused(media)
            continue
        answer = accepted[index]
        lines.append(f"m={media.kind} {port} {media.protocol} {' '.join(map(str, answer.formats))}")
        lines.append(f"c={address}")
        if index == tagged:
            lines += [f"a={candidate}" for candidate in local.candidates]
            lines.append("a=end-of-candidates")
        lines += transport
        if section.mid_written:
            lines.append(f"a=mid:{section.mid}")
        if media.extmap_allow_mixed and not session.extmap_allow_mixed:
            lines.append("a=extmap-allow-mixed")
        lines += answer.attributes
        if section is offer.data:
            continue
        lines.append("a=rtcp-mux")
        if media.has("rtcp-rsize"):
            lines.append("a=rtcp-rsize")
    return "\r\n".join(lines) + "\r\n"


def transport_lines(local: LocalPeer, *, setup: str) -> tuple[str, ...]:
    """ICE and DTLS of our side, but for the candidates."""
    algorithm, digest = local.fingerprint
    return (
        f"a=ice-ufrag:{local.ice_ufrag}",
        f"a=ice-pwd:{local.ice_pwd}",
        f"a=fingerprint:{algorithm} {digest}",
        f"a=setup:{setup}",
    )


def default_address(local: LocalPeer) -> tuple[int, str]:
    """Port and `c=` of an m-section: those of the first candidate (RFC 8839 section 4.2.1.2)."""
    if not local.candidates:
        return 9, "IN IP4 0.0.0.0"
    first = local.candidates[0]
    return first.port, f"IN IP{6 if ':' in first.address else 4} {first.address}"


def extension_lines(extensions: Extensions) -> Iterator[str]:
    """RFC 8285 section 6: the offerer's ids; a direction that the offer states is answered with its opposite."""
    for extmap in extensions:
        direction = "" if extmap.direction is None else f"/{_OPPOSITE.get(extmap.direction, extmap.direction)}"
        yield f"a=extmap:{extmap.id}{direction} {extmap.uri}"


def codec_lines(codecs: Iterable[Codec]) -> Iterator[str]:
    """rtpmap, rtcp-fb and fmtp of each codec, and of what retransmits it."""
    for codec in codecs:
        number = codec.payload_type
        channels = "" if codec.channels is None else f"/{codec.channels}"
        yield f"a=rtpmap:{number} {codec.name}/{codec.clock_rate}{channels}"
        for feedback in sorted(codec.feedback):
            yield f"a=rtcp-fb:{number} {feedback}"
        if codec.fmtp:
            yield f"a=fmtp:{number} {codec.fmtp}"
        if codec.rtx_payload_type is not None:
            yield f"a=rtpmap:{codec.rtx_payload_type} rtx/{codec.clock_rate}"
            yield f"a=fmtp:{codec.rtx_payload_type} apt={number}"


def payload_types(codecs: Iterable[Codec]) -> tuple[int, ...]:
    """The formats of the m-line: each codec before its retransmission."""
    return tuple(
        number for codec in codecs for number in (codec.payload_type, codec.rtx_payload_type) if number is not None
    )


def _bundle(offer: Offer, sections: Iterable[TransportSection]) -> tuple[str, ...]:
    alive = {section.mid for section in sections if section.mid_written}
    return tuple(mid for mid in dict.fromkeys(offer.description.bundle) if mid in alive)


def _tagged(sections: Iterable[TransportSection], bundle: tuple[str, ...]) -> int:
    """RFC 9143 section 7.3.1: the first mid of the group, or the only section of an offer without one."""
    by_mid = {section.mid: section.index for section in sections}
    return by_mid[bundle[0]] if bundle else min(by_mid.values())


def _data(section: TransportSection) -> AnswerSection:
    return AnswerSection(
        formats=(sctp_section.answer_format(section.media),), attributes=sctp_section.answer_lines(section.media)
    )


def _refused(media: sdp.MediaSection) -> list[str]:
    """RFC 3264 section 6: port 0, and one format because there must be one."""
    lines = [f"m={media.kind} 0 {media.protocol} {media.formats[0]}", "c=IN IP4 0.0.0.0", "a=inactive"]
    if media.mid is not None:
        lines.append(f"a=mid:{media.mid}")
    return lines
