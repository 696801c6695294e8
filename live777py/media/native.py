"""The names of the native engine that the package uses, in one replaceable place: tests put a fake here."""

from __future__ import annotations

from live777py._media import (
    Closed,
    CodecParameters,
    Dtls,
    EncodingParameters,
    Engine,
    EngineClosed,
    IceConnected,
    IceLost,
    IceParameters,
    LayerChanged,
    ReflexiveAddress,
    Response,
    Stats,
    SubscriptionParameters,
    TrackParameters,
    TrackSilent,
    TrackStarted,
    TrackStats,
)

__all__ = [
    "Closed",
    "CodecParameters",
    "Dtls",
    "EncodingParameters",
    "Engine",
    "EngineClosed",
    "IceConnected",
    "IceLost",
    "IceParameters",
    "LayerChanged",
    "ReflexiveAddress",
    "Response",
    "Stats",
    "SubscriptionParameters",
    "TrackParameters",
    "TrackSilent",
    "TrackStarted",
    "TrackStats",
]
