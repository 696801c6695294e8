"""The configuration: what there is to say (sections), how a file is read (reader), how it is printed (template)."""

from live777py.config.advice import warnings
from live777py.config.changes import Changes, compare
from live777py.config.livekit import ClusterConfig, LiveKitConfig
from live777py.config.reader import load, not_built, parse, secret_variables
from live777py.config.sections import (
    AuthConfig,
    Config,
    HttpConfig,
    IceServerConfig,
    LogConfig,
    SdpConfig,
    StrategyConfig,
    StreamConfig,
    WebhookConfig,
    WebrtcConfig,
)
from live777py.config.template import template
from live777py.config.values import ExternalAddress, MediaAddress, SocketAddress

__all__ = [
    "AuthConfig",
    "Changes",
    "ClusterConfig",
    "Config",
    "ExternalAddress",
    "HttpConfig",
    "IceServerConfig",
    "LiveKitConfig",
    "LogConfig",
    "MediaAddress",
    "SdpConfig",
    "SocketAddress",
    "StrategyConfig",
    "StreamConfig",
    "WebhookConfig",
    "WebrtcConfig",
    "compare",
    "load",
    "not_built",
    "parse",
    "secret_variables",
    "template",
    "warnings",
]
