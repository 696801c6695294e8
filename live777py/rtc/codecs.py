"""The codecs that pass through: their names, their format parameters, and who can decode whose stream."""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.rtc.parameters import Codec, Kind


class KnownCodec(NamedTuple):
    kind: Kind
    name: str
    clock_rate: int
    most_channels: int


_TABLE: tuple[KnownCodec, ...] = (
    KnownCodec("video", "VP8", 90000, 1),  # RFC 7741
    KnownCodec("video", "VP9", 90000, 1),  # RFC 9628
    KnownCodec("video", "H264", 90000, 1),  # RFC 6184
    KnownCodec("video", "H265", 90000, 1),  # RFC 7798
    KnownCodec("video", "AV1", 90000, 1),  # AV1 RTP specification 1.0
    KnownCodec("audio", "opus", 48000, 2),  # RFC 7587
    KnownCodec("audio", "red", 48000, 2),  # RFC 2198
    KnownCodec("audio", "G722", 8000, 1),  # RFC 3551, where the clock is 8000 by mistake
    KnownCodec("audio", "PCMU", 8000, 1),
    KnownCodec("audio", "PCMA", 8000, 1),
)
KNOWN: dict[str, KnownCodec] = {codec.name.lower(): codec for codec in _TABLE}


class H264Profile(Enum):
    """RFC 6184 section 8.1, table 5."""

    BASELINE = "baseline"
    CONSTRAINED_BASELINE = "constrained baseline"
    MAIN = "main"
    EXTENDED = "extended"
    HIGH = "high"
    CONSTRAINED_HIGH = "constrained high"
    HIGH_10 = "high 10"
    HIGH_422 = "high 4:2:2"
    HIGH_444_PREDICTIVE = "high 4:4:4 predictive"
    HIGH_10_INTRA = "high 10 intra"
    HIGH_422_INTRA = "high 4:2:2 intra"
    HIGH_444_INTRA = "high 4:4:4 intra"
    CAVLC_444_INTRA = "cavlc 4:4:4 intra"


# profile_idc, mask and value of profile-iop, in order: the last row of an idc also takes what no row describes.
_H264_PROFILES: tuple[tuple[int, int, int, H264Profile], ...] = (
    (0x42, 0x4F, 0x40, H264Profile.CONSTRAINED_BASELINE),
    (0x42, 0x00, 0x00, H264Profile.BASELINE),
    (0x4D, 0x8F, 0x80, H264Profile.CONSTRAINED_BASELINE),
    (0x4D, 0x00, 0x00, H264Profile.MAIN),
    (0x58, 0xCF, 0xC0, H264Profile.CONSTRAINED_BASELINE),
    (0x58, 0xCF, 0x80, H264Profile.BASELINE),
    (0x58, 0x00, 0x00, H264Profile.EXTENDED),
    (0x64, 0x0C, 0x0C, H264Profile.CONSTRAINED_HIGH),
    (0x64, 0x00, 0x00, H264Profile.HIGH),
    (0x6E, 0x10, 0x10, H264Profile.HIGH_10_INTRA),
    (0x6E, 0x00, 0x00, H264Profile.HIGH_10),
    (0x7A, 0x10, 0x10, H264Profile.HIGH_422_INTRA),
    (0x7A, 0x00, 0x00, H264Profile.HIGH_422),
    (0xF4, 0x10, 0x10, H264Profile.HIGH_444_INTRA),
    (0xF4, 0x00, 0x00, H264Profile.HIGH_444_PREDICTIVE),
    (0x2C, 0x00, 0x00, H264Profile.CAVLC_444_INTRA),
)

_HIGH_AND_UP = (H264Profile.HIGH, H264Profile.HIGH_10, H264Profile.HIGH_422, H264Profile.HIGH_444_PREDICTIVE)

# Which decoders also take a profile, nearest first (H.264 annex A.2). Baseline proper (FMO, ASO) fits into none.
_H264_DECODED_BY: dict[H264Profile, tuple[H264Profile, ...]] = {
    H264Profile.CONSTRAINED_BASELINE: (
        H264Profile.BASELINE,
        H264Profile.MAIN,
        H264Profile.CONSTRAINED_HIGH,
        H264Profile.EXTENDED,
        *_HIGH_AND_UP,
    ),
    H264Profile.BASELINE: (H264Profile.EXTENDED,),
    H264Profile.MAIN: _HIGH_AND_UP,
    H264Profile.CONSTRAINED_HIGH: _HIGH_AND_UP,
    H264Profile.HIGH: _HIGH_AND_UP[1:],
    H264Profile.HIGH_10: _HIGH_AND_UP[2:],
    H264Profile.HIGH_422: _HIGH_AND_UP[3:],
    H264Profile.HIGH_10_INTRA: _HIGH_AND_UP[1:],
    H264Profile.HIGH_422_INTRA: _HIGH_AND_UP[2:],
    H264Profile.HIGH_444_INTRA: _HIGH_AND_UP[3:],
    H264Profile.CAVLC_444_INTRA: (H264Profile.HIGH_444_INTRA, H264Profile.HIGH_444_PREDICTIVE),
}

# The RFC's default is baseline level 1; every WebRTC stack means this one (libwebrtc, h264_profile_level_id).
_DEFAULT_PROFILE_LEVEL_ID = "42e01f"
_PROFILE_LEVEL_ID = re.compile(r"[0-9A-Fa-f]{6}")

# What of a publisher's fmtp may reach viewers, who trust the gateway: known names, and values of a known form.
_SPROP = re.compile(r"sprop-(?:parameter-sets|vps|sps|pps)")
_SPROP_VALUE = re.compile(r"[A-Za-z0-9+/=,]{1,1024}")
_MOST_PARAMETER_SETS = 16
_OPUS_PARAMETERS = frozenset(
    (
        "maxplaybackrate",
        "sprop-maxcapturerate",
        "minptime",
        "maxptime",
        "maxaveragebitrate",
        "stereo",
        "sprop-stereo",
        "cbr",
        "useinbandfec",
        "usedtx",
    )
)
_OPUS_VALUE = re.compile(r"[0-9]{1,9}")
_OPUS_STEREO = {"stereo": "1", "sprop-stereo": "1"}


def parse_fmtp(text: str) -> dict[str, str]:
    """`name=value` pairs in order, names in lower case; the first of equal names counts."""
    parameters: dict[str, str] = {}
    for item in text.split(";"):
        name, _, value = item.partition("=")
        if name.strip():
            parameters.setdefault(name.strip().lower(), value.strip())
    return parameters


def format_fmtp(parameters: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" if value else name for name, value in parameters.items())


def h264_profile(fmtp: dict[str, str]) -> H264Profile | None:
    """The profile of a stream or decoder; None for one that no table knows."""
    text = fmtp.get("profile-level-id", _DEFAULT_PROFILE_LEVEL_ID)
    if not _PROFILE_LEVEL_ID.fullmatch(text):
        return None
    idc, iop = int(text[:2], 16), int(text[2:4], 16)
    return next((name for row, mask, value, name in _H264_PROFILES if row == idc and iop & mask == value), None)


def red_payload_type(fmtp: str) -> int | None:
    """The one payload type inside RED, from `111/111` (RFC 2198 section 5); None for none or several."""
    inside = {word.strip() for word in fmtp.split("/")}
    if len(inside) != 1:
        return None
    word = inside.pop()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 3 else None


def rank(sent: Codec, offered: Codec) -> int | None:
    """How well a viewer's codec fits a stream: 0 is exact, more is worse, None is not playable."""
    if sent.name != offered.name or sent.clock_rate != offered.clock_rate:
        return None
    ours, theirs = parse_fmtp(sent.fmtp), parse_fmtp(offered.fmtp)
    match sent.name:
        case "H264":
            return _rank_h264(ours, theirs)
        case "H265":
            return _rank_h265(ours, theirs)
        case "VP9":
            return 0 if _integer(ours, "profile-id", 0) == _integer(theirs, "profile-id", 0) else None
        case "AV1":
            return _rank_av1(ours, theirs)
        case _:
            return 0


def best(sent: Codec, offered: Iterable[Codec]) -> Codec | None:
    """The best fitting of a viewer's codecs; among equals its first choice."""
    ranked = [(fit, codec) for codec in offered if (fit := rank(sent, codec)) is not None]
    return min(ranked, key=lambda item: item[0])[1] if ranked else None


def fmtp_for_publisher(codec: Codec) -> str:
    """What the answer says of the stream we want: the offer's parameters without the sender's own properties.

    Limits that the publisher states for its decoder are not limits of ours, and would cap what it sends.
    """
    if codec.name == "red":
        return codec.fmtp
    parameters = parse_fmtp(codec.fmtp)
    if codec.name == "opus":
        if parameters.get("sprop-stereo") == "1":
            parameters.setdefault("stereo", "1")
        return format_fmtp(parameters)
    kept = {name: value for name, value in parameters.items() if not name.startswith(("sprop-", "max-"))}
    return format_fmtp(kept)


def fmtp_for_viewer(sent: Codec, offered: Codec) -> str:
    """What the answer says of the stream we send: the viewer's own parameters, and what is true of the stream."""
    if sent.name not in ("H264", "H265", "opus"):
        return offered.fmtp
    ours, theirs = parse_fmtp(sent.fmtp), parse_fmtp(offered.fmtp)
    if sent.name == "opus":
        ours = {
            name: value for name, value in ours.items() if name in _OPUS_PARAMETERS and _OPUS_VALUE.fullmatch(value)
        }
        return format_fmtp({**theirs, **ours, **(_OPUS_STEREO if sends_stereo(sent) else {})})
    if sent.name == "H264" and "profile-level-id" in ours and h264_profile(ours) is h264_profile(theirs) is not None:
        theirs["profile-level-id"] = ours["profile-level-id"]
    sprop = {name: value for name, value in ours.items() if _SPROP.fullmatch(name) and _SPROP_VALUE.fullmatch(value)}
    return format_fmtp({**theirs, **sprop})


def parameter_sets(codec: Codec) -> list[bytes]:
    """The NAL units of `sprop-parameter-sets` (RFC 6184 section 8.1) or `sprop-vps`, `-sps`, `-pps` (RFC 7798, 7.1)."""
    if codec.name not in {"H264", "H265"}:
        return []
    sets = []
    for name, value in parse_fmtp(codec.fmtp).items():
        if _SPROP.fullmatch(name) and _SPROP_VALUE.fullmatch(value):
            with suppress(binascii.Error):
                sets += [base64.b64decode(unit) for unit in value.split(",") if unit]
    return sets[:_MOST_PARAMETER_SETS]


def fmtp_for_unknown_publisher(offered: Codec) -> str:
    """The answer to a viewer who comes first: it must be ready for stereo (RFC 7587 section 6.1)."""
    if offered.name != "opus":
        return offered.fmtp
    return format_fmtp({**parse_fmtp(offered.fmtp), **_OPUS_STEREO})


def sends_stereo(codec: Codec) -> bool:
    parameters = parse_fmtp(codec.fmtp)
    return parameters.get("sprop-stereo") == "1" or parameters.get("stereo") == "1"


def allowed(names: Sequence[str], codec: KnownCodec) -> bool:
    """Whether a whitelist lets a codec pass. RED has no entry of its own in `[sdp]`: it is Opus twice."""
    permitted = {name.lower() for name in names}
    return not permitted or codec.name.lower() in permitted or (codec.name == "red" and "opus" in permitted)


def _rank_h264(ours: dict[str, str], theirs: dict[str, str]) -> int | None:
    mode, their_mode = _integer(ours, "packetization-mode", 0), _integer(theirs, "packetization-mode", 0)
    # RFC 6184 section 6.2: a mode 1 receiver takes single NAL unit packets, a mode 0 one takes nothing else.
    if mode not in (0, 1) or their_mode not in (mode, 1):
        return None
    profile, their_profile = h264_profile(ours), h264_profile(theirs)
    other_mode = int(mode != their_mode)
    if profile is not None and profile is their_profile:
        return other_mode
    decoders = _H264_DECODED_BY.get(profile, ()) if profile is not None else ()
    if their_profile in decoders:
        return 2 * (1 + decoders.index(their_profile)) + other_mode
    # The label is often not the stream (OBS says 42e01f whatever it encodes), and decoders take more than they say.
    return 2 * (1 + len(H264Profile)) + other_mode


def _rank_h265(ours: dict[str, str], theirs: dict[str, str]) -> int | None:
    # Defaults of RFC 7798 section 7.1: main profile, main tier, single stream.
    if ours.get("tx-mode", "SRST").upper() != theirs.get("tx-mode", "SRST").upper():
        return None
    if _integer(ours, "profile-space", 0) != _integer(theirs, "profile-space", 0):
        return None
    profile, their_profile = _integer(ours, "profile-id", 1), _integer(theirs, "profile-id", 1)
    high_tier_missing = int(_integer(ours, "tier-flag", 0) > _integer(theirs, "tier-flag", 0))
    if profile == their_profile:
        return high_tier_missing
    # Main 10 decoders take Main (H.265 annex A.3.3).
    return 2 + high_tier_missing if (profile, their_profile) == (1, 2) else None


def _rank_av1(ours: dict[str, str], theirs: dict[str, str]) -> int | None:
    # Each AV1 profile contains the one before (AV1 specification section A.2).
    above = _integer(theirs, "profile", 0) - _integer(ours, "profile", 0)
    if above < 0:
        return None
    return 2 * above + int(_integer(ours, "tier", 0) > _integer(theirs, "tier", 0))


def _integer(parameters: dict[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else default
