"""What a negotiation agreed on, in the engine's words."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from live777py.media import native
from live777py.rtc.codecs import parameter_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.rtc.negotiation import Codec, PlayedMedia, PublishedMedia


def random_ssrc() -> int:
    """RFC 3550 section 8.1; never 0, which some stacks read as absent."""
    return secrets.randbelow(2**32 - 1) + 1


def track_parameters(media: PublishedMedia, *, local_ssrc: int) -> native.TrackParameters:
    """`local_ssrc` is the sender of our RTCP about the track."""
    return native.TrackParameters(
        kind=media.kind,
        mid=media.mid,
        codecs=_codecs(media.codecs),
        encodings=[
            native.EncodingParameters(rid=encoding.rid, ssrc=encoding.ssrc, rtx_ssrc=encoding.rtx_ssrc)
            for encoding in media.encodings
        ],
        extensions=media.extensions,
        local_ssrc=local_ssrc,
    )


def subscription_parameters(media: PlayedMedia) -> native.SubscriptionParameters:
    return native.SubscriptionParameters(
        kind=media.kind,
        mid=media.mid,
        ssrc=media.ssrc,
        rtx_ssrc=media.rtx_ssrc,
        cname=media.cname,
        codecs=_codecs(media.codecs),
        extensions=media.extensions,
        rid=media.rid,
    )


def _codecs(codecs: Iterable[Codec]) -> list[native.CodecParameters]:
    return [
        native.CodecParameters(
            payload_type=codec.payload_type,
            name=codec.name,
            clock_rate=codec.clock_rate,
            rtx_payload_type=codec.rtx_payload_type,
            nack="nack" in codec.feedback,
            pli="nack pli" in codec.feedback,
            fir="ccm fir" in codec.feedback,
            transport_cc="transport-cc" in codec.feedback,
            remb="goog-remb" in codec.feedback,
            parameter_sets=parameter_sets(codec),
        )
        for codec in codecs
    ]
