"""A description whose media stand on one ICE and DTLS transport: what reading an offer and an answer have in common.

Which direction, how many sections and which codecs are wanted is in `publish`, `play` and `answered`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from live777py import errors
from live777py.rtc import codecs, sctp_section, sdp
from live777py.rtc.parameters import Codec, CodecPolicy, DtlsRole, Encoding, Kind, PublishedMedia, RemotePeer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from live777py.rtc.candidate import Candidate

AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

FRAME_MARKING = "urn:ietf:params:rtp-hdrext:framemarking"
FORWARDED_EXTENSIONS = frozenset(
    {
        MID,
        TRANSPORT_CC,
        ABS_SEND_TIME,
        AUDIO_LEVEL,
        DEPENDENCY_DESCRIPTOR,
        VIDEO_ORIENTATION,
        PLAYOUT_DELAY,
        FRAME_MARKING,
    }
)
LAYER_EXTENSIONS = frozenset({RID, REPAIRED_RID})

_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})
_DIGEST_SIZE = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_RTP_PROTOCOL = re.compile(r"(?:UDP/TLS/|TCP/TLS/|TCP/DTLS/)?RTP/S?AVPF?")

_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,255}")
_HEX_PAIRS = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2})*")

# With the marker bit these look like RTCP on a shared port (RFC 5761 section 4).
_RTCP_TYPES = range(64, 96)
MAX_LAYERS = 16
_MAX_CODECS = 64
_MAX_CANDIDATES = 32
_MAX_ONE_BYTE_ID = 14
_MAX_ONE_BYTE_TEXT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class TransportSection:
    """An m-section that stands on the transport.

    `mid` is inferred where there is none; `mid_written` says whether an answer may name it.
    """

    index: int
    media: sdp.MediaSection
    mid: str
    mid_written: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RtpSection(TransportSection):
    """One of audio or video."""

    kind: Kind
    direction: sdp.Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """`sections` are those of `description.media` that can carry our media, `data` the one for data channels."""

    description: sdp.SessionDescription
    sections: tuple[RtpSection, ...]
    data: TransportSection | None

    def extmaps(self, section: RtpSection, wanted: frozenset[str], *, unused: sdp.Direction) -> Extensions:
        """The header extensions to keep; `unused` is the direction in which the peer would not use one for us.

        The dependency descriptor is sent in both forms of RFC 8285, since it is mostly short, and too long for the
        one-byte form in a key picture: who does not take them mixed does not get it (section 4.1.2).

        Raises `errors.Unprocessable` where one id stands for two of them (RFC 8285 section 5).
        """
        allow_mixed = self.description.session.extmap_allow_mixed or section.media.extmap_allow_mixed
        found: dict[str, sdp.ExtMap] = {}
        for extmap in (*self.description.session.extmaps, *section.media.extmaps):
            if extmap.uri not in wanted or extmap.uri in found or extmap.direction in (unused, "inactive"):
                continue
            if not (1 <= extmap.id <= _MAX_ONE_BYTE_ID or (allow_mixed and 16 <= extmap.id <= 255)):
                continue
            if extmap.uri == DEPENDENCY_DESCRIPTOR and not allow_mixed:
                continue
            if extmap.uri == MID and len(section.mid) > _MAX_ONE_BYTE_TEXT:
                continue
            found[extmap.uri] = extmap
        extensions = tuple(found.values())
        require_unique((str(extmap.id) for extmap in extensions), "a header extension id stands for two extensions")
        return extensions


Extensions = tuple[sdp.ExtMap, ...]


def read_description(text: str) -> Described:
    """Raises `errors.BadRequest` (no SDP) or `errors.Unprocessable` (SDP that cannot be served), nothing else."""
    description = sdp.parse(text)
    require_unique(
        (mid for media in description.media if (mid := media.mid) is not None), "two m-sections have one mid"
    )
    alive = tuple(_alive(description))
    sections = _sections(description, alive)
    data = _data_section(description, alive, alone=not sections)
    if not sections and data is None:
        raise errors.Unprocessable("no audio, video or data section is alive")
    return Described(description=description, sections=sections, data=data)


def read_transport(described: Described, roles: Mapping[str | None, DtlsRole]) -> RemotePeer:
    """The peer's side of the transport; `roles` says what each `a=setup` of the peer's makes of us.

    Raises `errors.Unprocessable`.
    """
    session = described.description.session
    data = described.data
    sections = described.sections if data is None else (*described.sections, data)
    return RemotePeer(
        ice_ufrag=_agreed("ICE ufrag", sections, session, lambda block: block.ice_ufrag, _ICE_UFRAG.fullmatch),
        ice_pwd=_agreed("ICE password", sections, session, lambda block: block.ice_pwd, _ICE_PWD.fullmatch),
        fingerprints=_fingerprints(session, sections),
        dtls_role=_dtls_role(session, sections, roles),
        candidates=_candidates(session, sections),
        data_channel=None if data is None else sctp_section.read_section(data.media),
    )


def offered_codecs(section: RtpSection, policy: CodecPolicy, *, with_transport_cc: bool) -> tuple[Codec, ...]:
    """The codecs that the gateway knows and the policy allows, in the order of the section, RED only with its Opus.

    Transport-wide feedback needs its header extension (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2).
    """
    media = section.media
    names = policy.video if section.kind == "video" else policy.audio
    rtpmaps, fmtps, feedback = media.rtpmaps, media.fmtps, media.feedback
    every = feedback.get(None, set())
    kept = _FEEDBACK if with_transport_cc else _FEEDBACK - {"transport-cc"}
    repaired = _retransmissions(media.payload_types, rtpmaps, fmtps)
    found: dict[int, Codec] = {}
    for payload_type in media.payload_types:
        if len(found) == _MAX_CODECS:
            break
        if payload_type in _RTCP_TYPES:
            continue
        mappings = rtpmaps.get(payload_type, ())
        if len(mappings) > 1:
            raise errors.Unprocessable(f"payload type {payload_type} stands for two codecs")
        known = _known(section.kind, mappings[0]) if mappings else None
        if known is None or not codecs.allowed(names, known):
            continue
        found[payload_type] = Codec(
            payload_type=payload_type,
            name=known.name,
            clock_rate=known.clock_rate,
            channels=mappings[0].channels,
            fmtp=fmtps.get(payload_type, ""),
            feedback=kept & (feedback.get(payload_type, set()) | every),
            rtx_payload_type=repaired.get(payload_type),
        )
    return tuple(codec for codec in found.values() if codec.name != "red" or _opus_inside(codec, found) is not None)


def opus_inside(red: Codec, others: Iterable[Codec]) -> Codec | None:
    """The Opus that a RED payload type of the same section wraps."""
    return _opus_inside(red, {codec.payload_type: codec for codec in others})


def require_unique(values: Iterable[str], otherwise: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise errors.Unprocessable(f"{otherwise}: {value[:64]}")
        seen.add(value)


def require_distinct_payload_types(sections: Iterable[Sequence[Codec]]) -> None:
    """RFC 9143 section 9.1.1: in a bundle one payload type means one codec."""
    require_unique(
        (
            str(payload_type)
            for accepted in sections
            for codec in accepted
            for payload_type in (codec.payload_type, codec.rtx_payload_type)
            if payload_type is not None
        ),
        "a payload type is used twice in the bundle",
    )


def require_one_meaning(media: Sequence[PublishedMedia]) -> None:
    """What a packet is told apart by must be unambiguous on the one transport (RFC 9143 sections 9.2 and 12)."""
    require_distinct_payload_types(section.codecs for section in media)
    encodings = [encoding for section in media for encoding in section.encodings]
    require_unique(
        (str(ssrc) for encoding in encodings for ssrc in (encoding.ssrc, encoding.rtx_ssrc) if ssrc is not None),
        "an SSRC is used twice in the bundle",
    )
    meanings = {pair for section in media for pair in section.extensions}
    require_unique((str(number) for number, _ in meanings), "a header extension id stands for two extensions")


def sources(media: sdp.MediaSection) -> tuple[Encoding, ...]:
    """What a section without rids sends, by SSRC (RFC 5576) where it names any; `ssrc-group:SIM` are layers."""
    repaired = {pair[0]: pair[1] for semantics, pair in media.ssrc_groups if semantics == "FID" and len(pair) == 2}
    layers = next((ssrcs for semantics, ssrcs in media.ssrc_groups if semantics == "SIM"), ())
    first = next(iter(repaired), next(iter(media.ssrcs), None))
    known = layers[:MAX_LAYERS] or (() if first is None else (first,))
    if not known:
        return (Encoding(),)
    return tuple(Encoding(ssrc=ssrc, rtx_ssrc=repaired.get(ssrc)) for ssrc in dict.fromkeys(known))


def are_ice_credentials(ufrag: str, pwd: str) -> bool:
    """RFC 8839 section 5.4."""
    return _ICE_UFRAG.fullmatch(ufrag) is not None and _ICE_PWD.fullmatch(pwd) is not None


def is_token(text: str) -> bool:
    """RFC 8866 section 9, `token`: what a mid or rid may be made of."""
    return _TOKEN.fullmatch(text) is not None


def _alive(description: sdp.SessionDescription) -> Iterator[tuple[int, sdp.MediaSection, str | None]]:
    """RFC 9143 section 6: bundle-only makes port 0 alive, any other port 0 is a refused section."""
    for index, (media, mid) in enumerate(zip(description.media, _mids(description), strict=True)):
        if media.port != 0 or (media.has("bundle-only") and mid in description.bundle):
            yield index, media, mid


def _sections(
    description: sdp.SessionDescription, alive: Iterable[tuple[int, sdp.MediaSection, str | None]]
) -> tuple[RtpSection, ...]:
    bundle = description.bundle
    sections = []
    for index, media, mid in alive:
        kind: Kind
        if media.kind == "audio":
            kind = "audio"
        elif media.kind == "video":
            kind = "video"
        else:
            continue
        if not _RTP_PROTOCOL.fullmatch(media.protocol):
            raise errors.Unprocessable(f"the {kind} section is not RTP over DTLS")
        if mid is None or not is_token(mid):
            raise errors.Unprocessable(f"the {kind} section has no usable a=mid")
        sections.append(
            RtpSection(
                index=index,
                kind=kind,
                media=media,
                mid=mid,
                mid_written=media.mid is not None or mid in bundle,
                direction=description.direction(media),
            )
        )
    if len(sections) > 1 and any(section.mid not in bundle for section in sections):
        raise errors.Unprocessable("the m-sections are not in one BUNDLE group (RFC 9725 section 4.4.1)")
    if not all(section.media.has("rtcp-mux") or section.media.has("rtcp-mux-only") for section in sections):
        raise errors.Unprocessable("an m-section does not offer rtcp-mux (RFC 9725 section 4.4.1)")
    return tuple(sections)


def _data_section(
    description: sdp.SessionDescription, alive: Iterable[tuple[int, sdp.MediaSection, str | None]], *, alone: bool
) -> TransportSection | None:
    """The first data channel section; one that is not on the transport of the others is refused like a second one."""
    bundle = description.bundle
    for index, media, mid in alive:
        if sctp_section.read_section(media) is None or mid is None or not is_token(mid):
            continue
        if alone or mid in bundle:
            written = media.mid is not None or mid in bundle
            return TransportSection(index=index, media=media, mid=mid, mid_written=written)
    return None


def _mids(description: sdp.SessionDescription) -> tuple[str | None, ...]:
    mids = tuple(media.mid for media in description.media)
    if any(mid is not None for mid in mids):
        return mids
    if len(mids) == 1:
        return ("0",)
    # The group still says how many there are and what they are called.
    return description.bundle if len(description.bundle) == len(mids) else mids


def _agreed(
    what: str,
    sections: tuple[TransportSection, ...],
    session: sdp.Section,
    read: Callable[[sdp.Section], str | None],
    legal: Callable[[str], object],
) -> str:
    """One transport has one value; a bundled section may leave it to the tagged one (RFC 9143 section 7.1.3)."""
    values = {value for section in sections if (value := read(section.media) or read(session))}
    if len(values) != 1:
        raise errors.Unprocessable(f"the m-sections disagree on the {what}" if values else f"there is no {what}")
    value = values.pop()
    if not legal(value):
        raise errors.Unprocessable(f"the {what} is not one of RFC 8839 section 5.4")
    return value


def _fingerprints(session: sdp.Section, sections: tuple[TransportSection, ...]) -> tuple[tuple[str, str], ...]:
    sets = {frozenset(found) for section in sections if (found := section.media.fingerprints or session.fingerprints)}
    if len(sets) > 1:
        raise errors.Unprocessable("the m-sections disagree on the fingerprint")
    usable = [
        (algorithm, digest)
        for algorithm, digest in frozenset().union(*sets)
        if _HEX_PAIRS.fullmatch(digest) and len(digest) == 3 * _DIGEST_SIZE.get(algorithm, 0) - 1
    ]
    if not usable:
        raise errors.Unprocessable("there is no sha-256, sha-384 or sha-512 fingerprint")
    return tuple(sorted(usable))


def _dtls_role(
    session: sdp.Section, sections: tuple[TransportSection, ...], roles: Mapping[str | None, DtlsRole]
) -> DtlsRole:
    setups = {setup for section in sections if (setup := section.media.setup or session.setup)}
    role = roles.get(next(iter(setups), None)) if len(setups) <= 1 else None
    if role is None:
        raise errors.Unprocessable("there is no usable a=setup (RFC 8842 section 5.2)")
    return role


def _candidates(session: sdp.Section, sections: tuple[TransportSection, ...]) -> tuple[Candidate, ...]:
    """Of any section, as the bundle has one transport; the first ones do for an agent that only answers checks."""
    found: dict[tuple[str, str, int], Candidate] = {}
    for block in (session, *(section.media for section in sections)):
        for candidate in block.candidates:
            if candidate.component == 1:
                found.setdefault((candidate.transport, candidate.address, candidate.port), candidate)
    return tuple(found.values())[:_MAX_CANDIDATES]


def _known(kind: Kind, mapping: sdp.RtpMap) -> codecs.KnownCodec | None:
    known = codecs.KNOWN.get(mapping.name.lower())
    if known is None or known.kind != kind or known.clock_rate != mapping.clock_rate:
        return None
    return known if mapping.channels is None or 1 <= mapping.channels <= known.most_channels else None


def _retransmissions(
    payload_types: tuple[int, ...], rtpmaps: dict[int, tuple[sdp.RtpMap, ...]], fmtps: dict[int, str]
) -> dict[int, int]:
    """RFC 4588 section 8.6: what is repaired -> the payload type that repairs it, the first of several."""
    found: dict[int, int] = {}
    for payload_type in payload_types:
        mappings = () if payload_type in _RTCP_TYPES else rtpmaps.get(payload_type, ())
        if len(mappings) == 1 and mappings[0].name.lower() == "rtx":
            repaired = codecs.parse_fmtp(fmtps.get(payload_type, "")).get("apt", "")
            if repaired.isascii() and repaired.isdigit() and len(repaired) <= 3:
                found.setdefault(int(repaired), payload_type)
    return found


def _opus_inside(red: Codec, codecs_by_type: dict[int, Codec]) -> Codec | None:
    inside = codecs.red_payload_type(red.fmtp)
    codec = None if inside is None else codecs_by_type.get(inside)
    return codec if codec is not None and codec.name == "opus" else None
