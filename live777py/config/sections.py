"""Every key of the configuration file, once: its type, its default, its text, its environment variables.

The template (`live777py config`), the reader and docs/configuration.md all follow from this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from live777py.config import values
from live777py.config.keys import Fallback, key, section
from live777py.config.livekit import ClusterConfig, LiveKitConfig, sound_keys

_MAX_INT = 2**53


@dataclass(frozen=True, kw_only=True)
class HttpConfig:
    listen: str = key(
        "0.0.0.0:7777",
        "Address and TCP port of the HTTP server. [::] listens on IPv4 too. Port 0 takes any free port.",
        fallback=Fallback(name="PORT", pattern="0.0.0.0:{}"),
        check=values.socket_address,
    )
    cors: bool = key(False, "Let pages of every other origin use the API, play and publish.", live=True)
    rate_limit: int = key(
        100,
        "POST, PATCH and DELETE requests per second from one client address; ten seconds' worth may come at once.\n"
        "Requests over loopback without a proxy header are not counted. 0 = no limit.",
        live=True,
        check=values.between(0, 1_000_000),
    )
    trusted_proxies: tuple[str, ...] = key(
        ("127.0.0.0/8", "::1/128"),
        "Addresses or networks of reverse proxies whose X-Forwarded-For is believed.",
        live=True,
        check=values.networks,
    )

    @property
    def address(self) -> values.SocketAddress:
        return values.parse_socket_address(self.listen)


@dataclass(frozen=True, kw_only=True)
class IceServerConfig:
    urls: tuple[str, ...] = key(
        ..., "One or more stun:, turn: or turns: URLs.", example=("stun:stun.example.org:3478",), check=values.ice_urls
    )
    username: str = key("", "User name; needed with turn: and turns:.", check=values.printable)
    credential: str = key("", "Password; needed with turn: and turns:.", secret=True, check=values.printable)


def turn_has_credentials(servers: tuple[IceServerConfig, ...]) -> tuple[IceServerConfig, ...]:
    for server in servers:
        turn = any(url.lower().startswith("turn") for url in server.urls)
        if turn and not (server.username and server.credential):
            raise ValueError(f"username and credential beside {server.urls[0]}")
    return servers


@dataclass(frozen=True, kw_only=True)
class AuthConfig:
    secret: str = key(
        "",
        'Secret of JSON web tokens (HS256; claims "id", "exp", "mode"). Does not turn authentication on by itself.',
        secret=True,
        check=values.hmac_secret,
    )
    tokens: tuple[str, ...] = key(
        (),
        "Static tokens with every right. Authentication is on when there is one, or jwks or http_url is set.",
        secret=True,
        check=values.tokens,
    )
    jwks: str = key(
        "",
        "File or http(s) URL of a JSON web key set: RS256, PS256, ES256, ES384 and EdDSA tokens with the same claims.",
        secret=True,
    )
    audience: str = key("", 'What "aud" of a JSON web token must name. A token that names others is refused.')
    issuer: str = key("", 'What "iss" of a JSON web token must be; empty = anything.')
    http_url: str = key(
        "",
        "http(s) URL that is asked about a token that none of the above knows: POST of JSON with action, stream,\n"
        "token, address, userAgent and protocol. Status 2xx allows; everything else, and no answer, does not.",
        secret=True,
        check=values.http_url,
    )
    http_timeout_ms: int = key(2000, "Milliseconds that http_url may take.", check=values.between(1, 60_000))

    @property
    def enabled(self) -> bool:
        return bool(self.tokens or self.jwks or self.http_url)


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    level: str = key(
        "info",
        "off, error, warn, info, debug or trace.",
        fallback=Fallback(name="LOG_LEVEL"),
        check=values.one_of_lower("off", "error", "warn", "info", "debug", "trace"),
    )


@dataclass(frozen=True, kw_only=True)
class StrategyConfig:
    """What is done for a stream without being asked."""

    each_stream_max_sub: int = key(
        65535, "Viewers that a stream takes; the next one gets 503.", check=values.between(0, 65535)
    )
    cascade_push_close_sub: bool = key(False, "Close a stream's viewers when it is pushed to another node.")
    auto_create_whip: bool = key(True, "A publisher may publish to a stream that does not exist yet.")
    auto_create_whep: bool = key(True, "A viewer may wait on a stream that does not exist yet.")
    auto_delete_whip: int = key(
        -1,
        "Milliseconds after which a stream without publisher is deleted; 0 = at once, -1 = never.",
        check=values.between(-1, _MAX_INT),
    )
    auto_delete_whep: int = key(
        -1,
        "Milliseconds after which a stream without viewers is deleted, even while published; 0 = at once, -1 = never.",
        check=values.between(-1, _MAX_INT),
    )
    on_publish_conflict: Literal["reject", "takeover"] = key(
        "reject",
        "What a publisher meets where another one publishes: reject (409) or takeover (the other one is closed).",
    )


@dataclass(frozen=True, kw_only=True)
class SdpConfig:
    video_codecs: tuple[str, ...] = key(
        (),
        "Video codecs that are negotiated: VP8, VP9, H264, H265, AV1. Empty = all.",
        check=values.codecs(values.VIDEO_CODECS),
    )
    audio_codecs: tuple[str, ...] = key(
        (),
        "Audio codecs that are negotiated: OPUS, G722, PCMU, PCMA. Empty = all.",
        check=values.codecs(values.AUDIO_CODECS),
    )


@dataclass(frozen=True, kw_only=True)
class WebrtcConfig:
    ice_udp_addrs: tuple[str, ...] = key(
        ("auto",),
        'Where media is received: "auto" (every routed local address), "auto:PORT", "IP", "IP:PORT" or "[IPv6]:PORT".\n'
        "The port is 7777 unless given; 0 takes any free port. A further worker uses the next port.",
        env=("LIVE777_WEBRTC_ICE_UDP_ADDRS", "LIVE777_WEBRTC_ICE_UDP_ADDR", "LIVETWO_WEBRTC_ICE_UDP_ADDR"),
        check=values.some_media_addresses,
    )
    ice_tcp_addrs: tuple[str, ...] = key(
        (),
        "Where media is received over TCP too (RFC 6544), for clients whose network lets no UDP through; written as\n"
        "above. The port is 7778 unless given, since http.listen has the other. None by default.",
        check=values.media_addresses,
    )
    external_addrs: tuple[str, ...] = key(
        (),
        "What clients see of these addresses where NAT is between: the public address that is offered to them.\n"
        '"IP" stands for every routed address, "IP/LOCAL" for that one; "IP:PORT" and "IP:PORT/LOCAL:PORT" where\n'
        'another port is forwarded. "auto" asks a STUN server, at start and every minute.',
        check=values.external_addresses,
    )
    external_only: bool = key(
        False, "Do not offer the local addresses which an external one stands for; else they come after it."
    )
    external_stun: str = key(
        "",
        'The server that "auto" asks: "stun:HOST:PORT". Empty = the first stun: URL of ice_servers.',
        check=values.stun_url,
    )
    ice_lite: bool = key(
        True,
        "Answer as an ICE-lite agent (RFC 8445): clients connect to the server's addresses.\n"
        "A full agent checks every path back.",
    )
    strict_etags: bool = key(
        False,
        "Refuse a PATCH without If-Match (428), as RFC 9725 wants; common clients send none. One that does not match\n"
        "is always refused (412).",
        live=True,
    )
    workers: int = key(1, "Media threads; each has its own UDP port.", check=values.between(1, 64))
    bandwidth_estimation: bool = key(
        True,
        "Estimate what the network of each viewer carries, and send the best layer of a simulcast or SVC publisher\n"
        "that fits, unless the viewer has chosen one. Without it everybody gets the best layer.",
    )
    gop_cache_bytes: int = key(
        4_194_304,
        "Bytes of the current group of pictures that each video encoding keeps, so that a new viewer sees the\n"
        "picture at once and not at the next key frame. 0 = off.",
        check=values.between(0, 1 << 28),
    )
    gop_cache_ms: int = key(
        5000,
        "Milliseconds since its key frame after which it is no longer kept. 0 = off.",
        check=values.between(0, 60_000),
    )
    gop_cache_replays: int = key(
        512,
        "Viewers of one worker who are shown it at the same time; further ones wait for their turn or a key frame.",
        check=values.between(1, 65_536),
    )

    @property
    def ports(self) -> tuple[int, ...]:
        """Those of the first worker."""
        udp = (values.parse_media_address(entry).port for entry in self.ice_udp_addrs)
        tcp = (values.parse_media_address(entry, values.DEFAULT_TCP_PORT).port for entry in self.ice_tcp_addrs)
        return (*udp, *tcp, *(address.port for address in self.external if address.port is not None))

    @property
    def external(self) -> tuple[values.ExternalAddress, ...]:
        return tuple(values.parse_external_address(entry) for entry in self.external_addrs)


def ports_for_workers(webrtc: WebrtcConfig) -> WebrtcConfig:
    last = max(webrtc.ports) + webrtc.workers - 1
    if last > 65535:
        raise ValueError(f"ports up to 65535; the last of {webrtc.workers} workers would need {last}")
    return webrtc


@dataclass(frozen=True, kw_only=True)
class HookCommands:
    """Programs, run without a shell as `PROGRAM event stream [reason]`."""

    on_stream_created: tuple[str, ...] = key((), "Programs run when a stream is created.", check=values.programs)
    on_stream_deleted: tuple[str, ...] = key((), "Programs run when a stream is deleted.", check=values.programs)
    on_publish_started: tuple[str, ...] = key((), "Programs run when a publisher has connected.", check=values.programs)
    on_publish_stopped: tuple[str, ...] = key((), "Programs run when a publisher has gone.", check=values.programs)
    on_recording_started: tuple[str, ...] = key((), "Programs run when a recording begins.", check=values.programs)
    on_segment: tuple[str, ...] = key((), "Programs run when a segment is in the storage.", check=values.programs)
    on_recording_ended: tuple[str, ...] = key((), "Programs run when a recording is over.", check=values.programs)


@dataclass(frozen=True, kw_only=True)
class HooksConfig(HookCommands):
    timeout_ms: int = key(5000, "Milliseconds a program may take; 0 = no limit.", check=values.between(0, _MAX_INT))
    on_error: Literal["stop", "continue"] = key("stop", "After a failure: stop or continue with the next program.")


@dataclass(frozen=True, kw_only=True)
class WebhookConfig:
    url: str = key(
        ...,
        "http(s) URL that every event is posted to.",
        example="https://example.org/live777",
        secret=True,
        check=values.some_http_url,
    )
    secret: str = key(
        ..., "What the posts are signed with.", example="a long random text", secret=True, check=values.some
    )
    events: tuple[str, ...] = key(
        (), f"Events that are posted: {', '.join(values.EVENTS)}. Empty = all.", check=values.events
    )
    streams: tuple[str, ...] = key((), 'Patterns of stream names, such as "cam*". Empty = all streams.')
    max_age_seconds: int = key(
        86400,
        "Seconds after which an event that could not be delivered is given up.",
        check=values.between(1, _MAX_INT),
    )


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    path: str = key(
        "./live777.db", "SQLite file of what survives a restart. It is made when something is kept.", check=values.some
    )


@dataclass(frozen=True, kw_only=True)
class CaptureConfig:
    backend: Literal["libcamera", "v4l2"] = key("v4l2", "libcamera or v4l2.")
    device: str = key("", "Camera device.", example="/dev/video0")
    width: int | None = key(None, "Pixels.", example=1280, check=values.between(1, 65535))
    height: int | None = key(None, "Pixels.", example=720, check=values.between(1, 65535))
    fps: int | None = key(None, "Frames per second.", example=30, check=values.between(1, 1000))
    pixel_format: str | None = key(None, "Pixel format of the camera.", example="NV12")
    prefer_dmabuf: bool | None = key(None, "Share buffers with the encoder.", example=True)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    backend: str | None = key(None, "Encoder.", example="x264")
    codec: str | None = key(None, "Codec.", example="H264")
    bitrate: int | None = key(None, "Bits per second.", example=2_000_000, check=values.between(1, _MAX_INT))
    profile: str | None = key(None, "Codec profile.", example="baseline")
    level: str | None = key(None, "Codec level.", example="3.1")
    tier: str | None = key(None, "Codec tier.", example="main")
    prefer_dmabuf: bool | None = key(None, "Share buffers with the camera.", example=True)
    gop: int = key(60, "Frames between key frames.", check=values.between(1, 100_000))
    adaptive_bitrate: bool = key(False, "Follow the viewers' bandwidth.")
    min_bitrate: int | None = key(
        None, "Lowest bits per second when adaptive.", example=300_000, check=values.between(1, _MAX_INT)
    )


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    payload_type: int = key(96, "RTP payload type.", check=values.between(0, 127))
    clock_rate: int = key(90000, "RTP clock rate in Hz.", check=values.between(1, 1_000_000))


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    url: str | None = key(
        None,
        "whep(s)://[token@]host/whep/stream, or http(s)://, of another server. Of several, the first that works is\n"
        "used. rtsp(s)://, file:// and .sdp files are not built in this version. Not together with capture.",
        example="whep://token@192.0.2.1:7777/whep/cam1",
        secret=True,
        check=values.source_url,
    )
    capture: CaptureConfig | None = section(lambda: None, built=False)
    encoder: EncoderConfig | None = section(lambda: None, built=False)
    output: OutputConfig | None = section(lambda: None, built=False)

    @property
    def pulled(self) -> bool:
        """By WHEP; no other kind is built."""
        return self.url is not None and values.is_http_like(self.url)


@dataclass(frozen=True, kw_only=True)
class ChannelConfig:
    listen: str = key(
        ..., "UDP address whose datagrams go to data channels.", example="127.0.0.1:9001", check=values.udp_endpoint
    )
    target: str = key(
        ..., "UDP address that gets what data channels say.", example="127.0.0.1:9002", check=values.udp_endpoint
    )

    @property
    def listening(self) -> tuple[str, int]:
        return values.parse_socket_address(self.listen).pair

    @property
    def targeted(self) -> tuple[str, int]:
        return values.parse_socket_address(self.target).pair


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    url: str = key(
        ...,
        "whip(s)://[token@]host/whip/stream, or http(s)://, that the stream is pushed to while somebody publishes it.",
        example="whips://token@example.org/whip/cam1",
        secret=True,
        check=values.target_url,
    )


_WithUrl = TypeVar("_WithUrl", TargetConfig, WebhookConfig)


def distinct_urls(tables: tuple[_WithUrl, ...]) -> tuple[_WithUrl, ...]:
    if len({table.url for table in tables}) != len(tables):
        raise ValueError("each url once")
    return tables


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """A provisioned stream: always listed, never deleted."""

    on_demand: bool = key(False, "Run the sources only while somebody watches.")
    on_demand_close_after_ms: int = key(
        10000, "Milliseconds the sources run on after the last viewer.", check=values.between(0, _MAX_INT)
    )
    on_demand_start_timeout_ms: int = key(
        10000, "Milliseconds the first viewer waits for the sources.", check=values.between(0, _MAX_INT)
    )
    sources: tuple[SourceConfig, ...] = section(tuple, "Where the stream comes from.")
    targets: tuple[TargetConfig, ...] = section(tuple, "Where the stream is pushed to.", check=distinct_urls)
    channel: ChannelConfig | None = section(lambda: None, "Data channels to and from UDP.")
    strategy: StrategyConfig = section(StrategyConfig, "As [strategy]; what is not set here comes from there.")
    hooks: HookCommands = section(HookCommands, "As [hooks]; run after those.")


@dataclass(frozen=True, kw_only=True)
class CascadeConfig:
    allow_private: bool = key(
        True,
        "Connect to loopback and private addresses at the word of the API or of another server.\n"
        "Link-local, multicast and metadata addresses are always refused.",
    )


@dataclass(frozen=True, kw_only=True)
class Net4mqttConfig:
    mqtt_url: str | None = key(
        None,
        "Broker; {alias} in it is replaced.",
        example="mqtt://localhost:1883/net4mqtt?client_id={alias}",
        secret=True,
    )
    alias: str | None = key(None, "Name of this node.", example="liveion-0")


@dataclass(frozen=True, kw_only=True)
class StorageConfig:
    type: Literal["fs", "s3", "gcs", "azure"] = key(
        "fs", "fs (a directory), s3 (and what speaks its protocol), gcs (Google Cloud Storage) or azure."
    )
    root: str | None = key(
        None,
        "Directory; or what names in the bucket begin with. ./storage with fs, else /.",
        example="./storage",
    )
    bucket: str | None = key(None, "Bucket; the container with azure.", example="recordings", check=values.some)
    region: str | None = key(None, "Region of the bucket.", example="eu-central-1")
    endpoint: str | None = key(
        None,
        "URL of the object store, if it is not that of the provider.",
        example="https://s3.example.org",
        check=values.endpoint,
    )
    access_key_id: str | None = key(None, "Key id; the account's name with azure.", example="id")
    secret_access_key: str | None = key(None, "Key.", example="key", secret=True)
    session_token: str | None = key(None, "Session token.", example="token", secret=True)
    credential_file: str | None = key(
        None, "JSON file of a service account, with gcs.", example="/etc/live777/service-account.json"
    )
    disable_config_load: bool = key(
        False, "Do not look for credentials in the environment and in the machine's metadata."
    )
    enable_virtual_host_style: bool = key(False, "Name the bucket in the host name, with s3.")
    spool_dir: str = key(
        "./recordings/spool",
        "Directory that holds what is not in the bucket yet. Of one process alone.",
        check=values.some,
    )
    spool_max_bytes: int = key(
        16 * 1024**3,
        "Bytes that may wait there. When they are reached, recordings end.",
        check=values.between(1, _MAX_INT),
    )
    upload_concurrency: int = key(8, "Uploads at a time.", check=values.between(1, 64))


def bucket_has_name(storage: StorageConfig) -> StorageConfig:
    if storage.type != "fs" and storage.bucket is None:
        raise ValueError(f'bucket beside type = "{storage.type}"')
    return storage


@dataclass(frozen=True, kw_only=True)
class UploadConfig:
    enabled: bool = key(False, "Upload finished segments.")
    liveman_url: str = key("", "Cluster manager that signs uploads.")
    liveman_token: str = key("", "Its token.", secret=True)
    queue_path: str = key("./recordings/upload_queue.jsonl", "File that keeps the queue.")
    local_dir: str = key("./recordings", "Directory that holds segments until they are uploaded.")
    presign_ttl_seconds: int = key(300, "Seconds a signature lasts.", check=values.between(1, _MAX_INT))
    interval_ms: int = key(2000, "Milliseconds between looks at the queue.", check=values.between(1, _MAX_INT))
    concurrency: int = key(2, "Uploads at a time.", check=values.between(1, 1000))


@dataclass(frozen=True, kw_only=True)
class RetentionConfig:
    streams: tuple[str, ...] = key(
        ..., 'Patterns of stream names, such as "cam*".', example=("cam*",), check=values.some_patterns
    )
    keep_days: int = key(0, "As keep_days of [recorder].", check=values.between(0, 36500))
    keep_bytes: int = key(0, "As keep_bytes of [recorder].", check=values.between(0, _MAX_INT))


@dataclass(frozen=True, kw_only=True)
class RecorderConfig:
    auto_streams: tuple[str, ...] = key(
        (), 'Patterns of names of streams that are recorded whenever they are published, such as "cam*".', live=True
    )
    node_alias: str | None = key(None, "Name of this node in the index.", example="node-0")
    index_path: str = key(
        "", "File that the index is also written to, one JSON object a line.", example="./recordings/index.json"
    )
    max_recording_seconds: int = key(
        86400,
        "Seconds after which a new recording is begun; 0 = never.",
        live=True,
        check=values.between(0, _MAX_INT),
    )
    segment_seconds: int = key(
        10, "Seconds of a segment; it ends at the next key frame.", live=True, check=values.between(1, 300)
    )
    resume_seconds: int = key(
        30,
        "Seconds for which a recording waits for its publisher to come back; 0 = it ends when the publisher leaves.",
        live=True,
        check=values.between(0, 86400),
    )
    low_latency: bool = key(
        False, "Recordings that begin can be watched with two seconds of delay while they are made.", live=True
    )
    keep_days: int = key(
        0,
        "Days after its end for which a recording is kept; 0 = until somebody deletes it.",
        live=True,
        check=values.between(0, 36500),
    )
    keep_bytes: int = key(
        0,
        "Bytes of all recordings together; with more, the oldest that are over are deleted. 0 = no limit.",
        live=True,
        check=values.between(0, _MAX_INT),
    )
    retention: tuple[RetentionConfig, ...] = section(
        tuple,
        "Other limits for some streams, all streams of a table together. The first table that a stream is in counts,\n"
        "and [recorder] for the rest.",
        live=True,
    )
    signed_redirect: bool = key(
        False,
        "Send players to the object store for segments (signed addresses, 307). Its CORS rules must allow their pages.",
        live=True,
    )
    storage: StorageConfig = section(StorageConfig, "Where recordings are kept.", check=bucket_has_name)
    upload: UploadConfig = section(UploadConfig, "Uploads by way of a cluster manager.", built=False)


@dataclass(frozen=True, kw_only=True)
class RtspConfig:
    listen: str = key("0.0.0.0:8554", "Address, or rtsp://user:password@address.", secret=True)
    max_connections: int = key(100, "Connections at a time.", check=values.between(1, 1_000_000))
    session_timeout: int = key(60, "Seconds.", check=values.between(1, _MAX_INT))
    realm: str = key("live777", "Digest realm.", check=values.printable)


@dataclass(frozen=True, kw_only=True)
class Config:
    http: HttpConfig = section(HttpConfig, "The HTTP server.")
    ice_servers: tuple[IceServerConfig, ...] = section(
        tuple,
        "STUN and TURN servers that are told to clients (Link header). None by default: nobody is sent elsewhere.",
        live=True,
        check=turn_has_credentials,
    )
    auth: AuthConfig = section(AuthConfig, "Who may do what.", live=True)
    log: LogConfig = section(LogConfig, "Log lines go to the standard error output.", live=True)
    strategy: StrategyConfig = section(StrategyConfig, "What is done for a stream without being asked.", live=True)
    sdp: SdpConfig = section(SdpConfig, "Negotiation.", live=True)
    webrtc: WebrtcConfig = section(WebrtcConfig, "Media.", check=ports_for_workers)
    stream: Mapping[str, StreamConfig] = section(
        dict, "Streams that always exist.", live=True, check=values.stream_names
    )
    cascade: CascadeConfig = section(CascadeConfig, "Streams from and to other servers.", live=True)
    hooks: HooksConfig = section(
        HooksConfig, "Programs run on events, without a shell: PROGRAM event stream [reason].", live=True
    )
    webhooks: tuple[WebhookConfig, ...] = section(
        tuple,
        "URLs that events are posted to: signed, in order, and again until they are taken.",
        live=True,
        check=distinct_urls,
    )
    store: StoreConfig = section(StoreConfig, "What survives a restart.")
    livekit: LiveKitConfig = section(
        LiveKitConfig, "Rooms: the API of LiveKit servers. It is closed while there is no key.", check=sound_keys
    )
    cluster: ClusterConfig = section(ClusterConfig, "Several nodes as one, by way of Redis.")
    net4mqtt: Net4mqttConfig = section(Net4mqttConfig, "Reach this node by way of an MQTT broker.", built=False)
    recorder: RecorderConfig = section(RecorderConfig, "Recordings.")
    rtsp: RtspConfig = section(RtspConfig, "RTSP server.", built=False)
