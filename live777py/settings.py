"""What each part is told of the configuration, in its own words."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from live777py import __version__
from live777py.cascade.settings import CascadeSettings, StreamCascade
from live777py.cluster.membership import Node
from live777py.cluster.settings import ClusterSettings
from live777py.config.values import parse_stun_url
from live777py.errors import BadRequest, ConfigError
from live777py.media.addresses import local_addresses
from live777py.media.external import ExternalSettings
from live777py.outbound import AddressPolicy, Endpoint
from live777py.recorder.export import ExportSettings
from live777py.recorder.retention import RetentionRule
from live777py.recorder.settings import RecorderSettings
from live777py.storage import BucketSettings, LocalSettings, SpoolSettings, StoragePath
from live777py.streams.settings import ProvisionedStream, StreamSettings, UdpChannel
from live777py.streams.strategy import Strategy

if TYPE_CHECKING:
    from live777py.config import Config, SocketAddress, StrategyConfig, StreamConfig
    from live777py.storage import StorageSettings


def addresses(config: Config) -> AddressPolicy:
    return AddressPolicy(allow_private=config.cascade.allow_private)


def external(config: Config) -> ExternalSettings:
    """Raises ConfigError."""
    webrtc = config.webrtc
    server: tuple[str, int] | None = None
    if any(address.ip is None for address in webrtc.external):
        urls = (webrtc.external_stun, *(url for servers in config.ice_servers for url in servers.urls))
        url = next((url for url in urls if url.lower().startswith("stun:")), None)
        if url is None:
            raise ConfigError(
                'webrtc.external_addrs: "auto" needs a STUN server: webrtc.external_stun, or a stun: URL in ice_servers'
            )
        try:
            server = parse_stun_url(url)
        except ValueError:
            raise ConfigError(f"webrtc.external_addrs: {url} cannot be asked") from None
    return ExternalSettings(addresses=webrtc.external, only=webrtc.external_only, server=server)


def streams(config: Config) -> StreamSettings:
    return StreamSettings(
        strategy=_strategy(config.strategy),
        provisioned={name: _provisioned(stream) for name, stream in config.stream.items()},
        video_codecs=config.sdp.video_codecs,
        audio_codecs=config.sdp.audio_codecs,
        ice_lite=config.webrtc.ice_lite,
    )


def _provisioned(config: StreamConfig) -> ProvisionedStream:
    channel = config.channel
    return ProvisionedStream(
        strategy=_strategy(config.strategy),
        on_demand=config.on_demand,
        on_demand_close_after_ms=config.on_demand_close_after_ms,
        on_demand_start_timeout_ms=config.on_demand_start_timeout_ms,
        has_source=any(source.pulled for source in config.sources),
        channel=None if channel is None else UdpChannel(listen=channel.listening, target=channel.targeted),
    )


def _strategy(config: StrategyConfig) -> Strategy:
    return Strategy(**dataclasses.asdict(config))


def cascade(config: Config) -> CascadeSettings:
    """Raises ConfigError."""
    return CascadeSettings(
        streams={
            name: StreamCascade(
                sources=tuple(_endpoint(name, source.url) for source in stream.sources if source.pulled and source.url),
                on_demand=stream.on_demand,
                targets=tuple(_endpoint(name, target.url) for target in stream.targets),
            )
            for name, stream in config.stream.items()
        }
    )


def recorder(config: Config) -> RecorderSettings:
    wanted = config.recorder
    return RecorderSettings(
        auto_streams=wanted.auto_streams,
        segment_seconds=wanted.segment_seconds,
        max_seconds=wanted.max_recording_seconds,
        resume_seconds=wanted.resume_seconds,
        low_latency=wanted.low_latency,
    )


def retention(config: Config) -> tuple[RetentionRule, ...]:
    """The last one is for all streams that no other is for."""
    wanted = config.recorder
    return (
        *(
            RetentionRule(streams=table.streams, keep_days=table.keep_days, keep_bytes=table.keep_bytes)
            for table in wanted.retention
        ),
        RetentionRule(keep_days=wanted.keep_days, keep_bytes=wanted.keep_bytes),
    )


def export(config: Config) -> ExportSettings | None:
    wanted = config.recorder
    if not wanted.index_path:
        return None
    return ExportSettings(path=Path(wanted.index_path), node_alias=wanted.node_alias)


def storage(config: Config) -> StorageSettings:
    """Raises ConfigError."""
    wanted = config.recorder.storage
    if wanted.type == "fs":
        return LocalSettings(root=Path(wanted.root or "./storage"))
    prefix = (wanted.root or "").strip("/")
    try:
        root = StoragePath(prefix) if prefix else None
    except BadRequest as error:
        raise ConfigError(f"recorder.storage.root: {error.detail}") from None
    bucket = BucketSettings(
        type=wanted.type,
        bucket=wanted.bucket or "",
        root=root,
        region=wanted.region,
        endpoint=wanted.endpoint,
        access_key_id=wanted.access_key_id,
        secret_access_key=wanted.secret_access_key,
        session_token=wanted.session_token,
        credential_file=wanted.credential_file,
        from_environment=not wanted.disable_config_load,
        virtual_host_style=wanted.enable_virtual_host_style,
    )
    return SpoolSettings(
        directory=Path(wanted.spool_dir),
        bucket=bucket,
        max_bytes=wanted.spool_max_bytes,
        concurrency=wanted.upload_concurrency,
    )


def cluster(config: Config) -> ClusterSettings:
    """Raises ConfigError."""
    wanted = config.cluster
    node = Node(
        id=wanted.node_id or f"ND_{secrets.token_hex(6)}",
        run=secrets.token_hex(8),
        url=wanted.url.rstrip("/") or _own_url(config.http.address),
        version=__version__,
    )
    return ClusterSettings(
        redis_url=wanted.redis_url,
        node=node,
        whep=wanted.whep,
        heartbeat=wanted.heartbeat_ms / 1000,
        timeout=wanted.timeout_ms / 1000,
    )


def _own_url(address: SocketAddress) -> str:
    """Where other machines reach it, as far as we know."""
    if not address.port:
        raise ConfigError("cluster.url: expected a URL, as http.listen has no port of its own")
    host = address.host
    if host in {"0.0.0.0", "::"}:
        host = str(next(iter(local_addresses())))
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"


def _endpoint(stream: str, url: str) -> Endpoint:
    try:
        return Endpoint.parse(url)
    except BadRequest as error:
        raise ConfigError(f"stream.{stream}: {error.detail}") from None
