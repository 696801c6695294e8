"""Offer and answer as the rest of the gateway uses them; `docs/negotiation.md` says who is answered what, and why."""

from live777py.rtc.candidate import Candidate, host_candidates
from live777py.rtc.parameters import (
    Codec,
    CodecPolicy,
    DataChannelParameters,
    DtlsRole,
    Encoding,
    Kind,
    LocalPeer,
    PlayedMedia,
    PublishedMedia,
    RemotePeer,
)
from live777py.rtc.play import NoCommonCodec, PlayPlan, payload_map, plan_play
from live777py.rtc.publish import PublishPlan, plan_publish

__all__ = [
    "Candidate",
    "Codec",
    "CodecPolicy",
    "DataChannelParameters",
    "DtlsRole",
    "Encoding",
    "Kind",
    "LocalPeer",
    "NoCommonCodec",
    "PlayPlan",
    "PlayedMedia",
    "PublishPlan",
    "PublishedMedia",
    "RemotePeer",
    "host_candidates",
    "payload_map",
    "plan_play",
    "plan_publish",
]
