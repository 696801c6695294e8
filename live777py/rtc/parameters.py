"""What a negotiation agrees on, as values: codecs, encodings, peers. How it is agreed on is in `publish` and `play`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar, cast

if TYPE_CHECKING:
    from live777py.rtc.candidate import Candidate

Kind = Literal["audio", "video"]
DtlsRole = Literal["active", "passive"]

_Parameters = TypeVar("_Parameters", bound=tuple[object, ...])


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecPolicy:
    """Names that `[sdp]` allows, in any case; empty allows everything the gateway knows. RED rides on Opus."""

    video: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Codec:
    """One payload type of an m-section.

    `name` is spelled as in `codecs.KNOWN` whatever the peer wrote, `clock_rate` is in Hz, `channels` is None where the
    rtpmap does not say. `feedback` holds some of "nack", "nack pli", "ccm fir", "transport-cc", "goog-remb".
    """

    payload_type: int
    name: str
    clock_rate: int
    channels: int | None = None
    fmtp: str = ""
    feedback: frozenset[str] = frozenset()
    rtx_payload_type: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """One layer of a track. All None: it is known by MID or payload type alone."""

    rid: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedMedia:
    """One accepted m-section of a publisher: one media codec (RED is followed by the Opus inside it), all layers.

    `extensions` are (id, URI) as the publisher numbers them. `msid` is the attribute's value, where there is one.
    """

    kind: Kind
    mid: str
    codecs: tuple[Codec, ...]
    encodings: tuple[Encoding, ...]
    extensions: tuple[tuple[int, str], ...] = ()
    msid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedMedia:
    """One answered m-section of a viewer: its payload types and extension ids, our SSRCs.

    `codecs` starts with what the publisher sends and goes on with everything else both ends know, so that a later
    publisher with another codec needs no renegotiation. `fmtp` is that of the answer. An inactive section stays silent.
    `rid` names the one layer that it carries, of several that share the section (RFC 8853); None is whichever is best.
    `index` is that of the section.
    """

    kind: Kind
    mid: str
    index: int
    codecs: tuple[Codec, ...]
    extensions: tuple[tuple[int, str], ...]
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    active: bool
    rid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DataChannelParameters:
    """The peer's side of SCTP (RFC 8841): its port, and the bytes of the largest message it takes, 0 for any size."""

    port: int
    max_message_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RemotePeer:
    """The peer's side of the transport. `fingerprints` are (hash, "AB:CD:..."), sha-256 first, at least one.

    `dtls_role` is ours towards it; `data_channel` is None where none was agreed on.
    """

    ice_ufrag: str
    ice_pwd: str = field(repr=False)
    fingerprints: tuple[tuple[str, str], ...]
    dtls_role: DtlsRole
    candidates: tuple[Candidate, ...] = ()
    data_channel: DataChannelParameters | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPeer:
    """Our side of the transport. `candidates` are written in this order; `session_id` is that of the `o=` line."""

    ice_ufrag: str
    ice_pwd: str = field(repr=False)
    fingerprint: tuple[str, str]
    candidates: tuple[Candidate, ...]
    ice_lite: bool
    session_id: int


def shared(parameters: _Parameters) -> _Parameters:
    """An equal one that another session has already: most viewers of a stream use one of a few browsers."""
    return cast("_Parameters", _first_of_its_kind(parameters))


@lru_cache(maxsize=32)
def _first_of_its_kind(parameters: tuple[object, ...]) -> tuple[object, ...]:
    return parameters
