"""Reading, refusing and printing the configuration."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from live777py.config import Config, MediaAddress, load, not_built, parse, template, warnings
from live777py.config.values import ExternalAddress, parse_external_address, parse_media_address, parse_stun_url
from live777py.errors import ConfigError
from live777py.settings import external

CONF = Path(__file__).parent.parent / "conf/live777.toml"

EVERY_LIVE777_KEY = """
[http]
listen = "[::]:7777"
cors = true
[[ice_servers]]
urls = ["stun:stun.example.org"]
[[ice_servers]]
urls = ["turn:turn.example.org"]
username = "u"
credential = "c"
[auth]
secret = "s"
tokens = ["t"]
[log]
level = "warn"
[strategy]
each_stream_max_sub = 1
cascade_push_close_sub = true
auto_create_whip = false
auto_create_whep = false
auto_delete_whip = 60000
auto_delete_whep = 0
[sdp]
video_codecs = ["H264", "vp8"]
audio_codecs = ["OPUS"]
[webrtc]
ice_udp_addrs = ["auto", "192.0.2.1:9000"]
ice_lite = true
[hooks]
on_stream_created = ["/bin/created"]
on_stream_deleted = ["/bin/deleted"]
on_publish_started = ["/bin/started"]
on_publish_stopped = ["/bin/stopped"]
timeout_ms = 0
on_error = "continue"
[stream.cam1]
on_demand = true
on_demand_close_after_ms = 1
on_demand_start_timeout_ms = 2
[[stream.cam1.sources]]
url = "rtsp://user:password@192.0.2.1/cam"
[[stream.cam1.sources]]
[stream.cam1.sources.capture]
backend = "libcamera"
device = "/dev/video0"
width = 1280
height = 720
fps = 30
pixel_format = "NV12"
prefer_dmabuf = true
[stream.cam1.sources.encoder]
backend = "v4l2"
codec = "H264"
bitrate = 1
profile = "high"
level = "4.1"
tier = "main"
prefer_dmabuf = false
gop = 30
adaptive_bitrate = true
min_bitrate = 1
[stream.cam1.sources.output]
payload_type = 97
clock_rate = 48000
[[stream.cam1.targets]]
url = "whip://token@192.0.2.1/whip/x"
[stream.cam1.channel]
listen = "127.0.0.1:9001"
target = "127.0.0.1:9002"
[stream.cam1.strategy]
auto_delete_whep = 5
[stream.cam1.hooks]
on_stream_created = ["/bin/more"]
[net4mqtt]
mqtt_url = "mqtt://user:password@localhost"
alias = "a"
[recorder]
auto_streams = ["*"]
node_alias = "n"
index_path = "i"
max_recording_seconds = 0
[recorder.storage]
type = "s3"
bucket = "b"
root = "/"
region = "r"
endpoint = "e"
access_key_id = "k"
secret_access_key = "secret-access-key"
session_token = "session-token"
disable_config_load = true
enable_virtual_host_style = true
[recorder.upload]
enabled = true
liveman_url = "l"
liveman_token = "liveman-token"
queue_path = "q"
local_dir = "d"
presign_ttl_seconds = 1
interval_ms = 1
concurrency = 1
[rtsp]
listen = "rtsp://user:password@0.0.0.0:8554"
max_connections = 1
session_timeout = 1
realm = "r"
"""


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("", {}) == Config()


def test_every_key_of_live777_is_read() -> None:
    """Each of them differs from its default here, so none was overlooked."""
    config = parse(EVERY_LIVE777_KEY, {})
    ours = {"http.rate_limit", "http.trusted_proxies", "webrtc.workers", "webrtc.ice_lite", "webrtc.gop_cache_bytes"}
    ours |= {"webrtc.gop_cache_ms", "webrtc.gop_cache_replays", "webrtc.bandwidth_estimation"}
    ours |= {"webrtc.ice_tcp_addrs", "webrtc.strict_etags"}
    ours |= {"webrtc.external_addrs", "webrtc.external_only", "webrtc.external_stun"}
    ours.add("strategy.on_publish_conflict")
    ours |= {f"auth.{key}" for key in ("jwks", "audience", "issuer", "http_url", "http_timeout_ms")}
    ours |= {"cascade.allow_private"}
    ours |= {f"hooks.on_{event}" for event in ("recording_started", "segment", "recording_ended")}
    ours |= {"webhooks", "store.path"}
    ours |= {
        f"recorder.storage.{key}" for key in ("credential_file", "spool_dir", "spool_max_bytes", "upload_concurrency")
    }
    ours |= {f"recorder.{key}" for key in ("segment_seconds", "resume_seconds", "low_latency", "signed_redirect")}
    ours |= {f"recorder.{key}" for key in ("keep_days", "keep_bytes", "retention")}
    unchanged = {name for name in _unchanged(config, Config()) if not name.startswith(("livekit.", "cluster."))}
    assert unchanged == ours
    (camera,) = config.stream.values()
    assert camera.channel is not None
    assert camera.channel.target == "127.0.0.1:9002"
    assert camera.sources[1].capture is not None
    assert camera.sources[1].capture.backend == "libcamera"
    assert config.sdp.video_codecs == ("H264", "VP8")


def _unchanged(value: Any, default: Any, path: str = "") -> list[str]:
    if is_dataclass(value):
        return [
            name
            for field in fields(value)
            for name in _unchanged(
                getattr(value, field.name), getattr(default, field.name), f"{path}.{field.name}".lstrip(".")
            )
        ]
    return [path] if value == default else []


def test_a_stream_inherits_what_it_does_not_say() -> None:
    """Live777 puts unset booleans back to their default; that is a defect."""
    config = parse(
        "[strategy]\nauto_create_whip = false\n[stream.cam.strategy]\nauto_delete_whep = 5\n[stream.b]\n", {}
    )
    assert config.stream["cam"].strategy == replace(config.strategy, auto_delete_whep=5)
    assert config.stream["b"].strategy == config.strategy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nlisten = 7777", "http.listen: expected a string"),
        (
            "[http]\nlisten = '7777'",
            'http.listen: expected an address and a port, such as "0.0.0.0:7777" or "[::]:7777"',
        ),
        ("[http]\nlisten = 'localhost:7777'", "http.listen: expected an address and a port"),
        ("[http]\nlisten = '1.2.3.4:70000'", "http.listen: expected an address and a port"),
        ("[http]\nlisten = '::1:7777'", "http.listen: expected an address and a port"),
        ("[http]\nlisten = '1.2.3.4'", "http.listen: expected an address and a port"),
        ("[http]\ncors = 'yes'", "http.cors: expected true or false"),
        ("[http]\ncors = 1", "http.cors: expected true or false"),
        ("[http]\nlisen = ''", 'http.lisen: unknown key; did you mean "listen"?'),
        ("[htpp]", 'htpp: unknown key; did you mean "http"?'),
        ("[webhook]\nwebhooks = []", 'webhook: unknown key; did you mean "webhooks"?'),
        ("http = 1", "http: expected a table"),
        ("[http]\nx-y = 1", "http.'x-y': unknown key; expected one of listen, cors, rate_limit, trusted_proxies"),
        ("[http]\nrate_limit = -1", "http.rate_limit: expected an integer from 0 to 1000000"),
        ("[http]\ntrusted_proxies = ['x']", "http.trusted_proxies: expected a list of IP addresses or networks"),
        ("[strategy]\nauto_delete_whip = -2", "strategy.auto_delete_whip: expected an integer from -1"),
        ("[strategy]\nauto_delete_whip = 1.5", "strategy.auto_delete_whip: expected an integer"),
        ("[strategy]\nauto_delete_whip = true", "strategy.auto_delete_whip: expected an integer"),
        ("[sdp]\nvideo_codecs = ['THEORA']", "sdp.video_codecs: expected names out of VP8, VP9, H264, H265, AV1"),
        ("[sdp]\nvideo_codecs = 'VP8'", "sdp.video_codecs: expected a list of strings"),
        ("[sdp]\nvideo_codecs = [1]", "sdp.video_codecs: expected a list of strings"),
        ("[log]\nlevel = 'loud'", "log.level: expected one of off, error, warn, info, debug, trace"),
        ("[hooks]\non_stream_created = ['a\\nb', ' ']", "hooks.on_stream_created: expected a list of programs"),
        ("[[webhooks]]\nurl = 'http://x'", "webhooks.0.secret: missing"),
        ("[[webhooks]]\nurl = ''\nsecret = 'x'", "webhooks.0.url: expected an http:// or https:// URL"),
        ("[[webhooks]]\nurl = 'ftp://x'\nsecret = 'x'", "webhooks.0.url: expected an http:// or https:// URL"),
        ("[[webhooks]]\nurl = 'http://x'\nsecret = ' '", "webhooks.0.secret: expected some text"),
        (
            "[[webhooks]]\nurl = 'http://x'\nsecret = 'x'\nevents = ['created']",
            "webhooks.0.events: expected names out of stream-created, stream-deleted",
        ),
        (
            "[[webhooks]]\nurl = 'http://x'\nsecret = 'x'\n[[webhooks]]\nurl = 'http://x'\nsecret = 'y'",
            "webhooks: expected each url once",
        ),
        ("[store]\npath = ''", "store.path: expected some text"),
        ("[recorder.storage]\ntype = 's3'", 'recorder.storage: expected bucket beside type = "s3"'),
        ("[recorder.storage]\ntype = 'ftp'", 'recorder.storage.type: expected one of "fs", "s3", "gcs", "azure"'),
        *(
            (
                f"[recorder.storage]\nendpoint = '{url}'",
                "recorder.storage.endpoint: expected an http:// or https:// URL",
            )
            for url in ("", "ftp://x", "http://user:password@x", "http://x?y", "https://", "x y")
        ),
        ("[hooks]\non_error = 'panic'", 'hooks.on_error: expected one of "stop", "continue"'),
        ("[webrtc]\nworkers = 0", "webrtc.workers: expected an integer from 1 to 64"),
        ("[webrtc]\nice_udp_addrs = ['auto:']", 'webrtc.ice_udp_addrs: expected a list of "auto"'),
        ("[webrtc]\nice_udp_addrs = []", "webrtc.ice_udp_addrs: expected at least one address"),
        ("[webrtc]\nice_udp_addrs = ['auto:65535']\nworkers = 2", "webrtc: expected ports up to 65535"),
        ("[webrtc]\nice_tcp_addrs = ['192.0.2.1:65535']\nworkers = 2", "webrtc: expected ports up to 65535"),
        ("[webrtc]\nice_tcp_addrs = ['localhost']", 'webrtc.ice_tcp_addrs: expected a list of "auto"'),
        ("[webrtc]\nexternal_addrs = ['192.0.2.1:65535']\nworkers = 2", "webrtc: expected ports up to 65535"),
        ("[webrtc]\nexternal_addrs = ['gateway.example.org']", 'webrtc.external_addrs: expected a list of "auto"'),
        ("[webrtc]\nexternal_stun = 'stun.example.org'", "webrtc.external_stun: expected"),
        ("[webrtc]\nexternal_stun = 'turn:stun.example.org'", "webrtc.external_stun: expected"),
        ("[[ice_servers]]\nurls = ['turn:x']", "ice_servers: expected username and credential beside turn:x"),
        ("[[ice_servers]]\nurls = ['turns:x']\nusername = 'u'", "ice_servers: expected username and credential"),
        ("[[ice_servers]]\nurls = ['http://x']", "ice_servers.0.urls: expected a list of URLs such as"),
        ("[[ice_servers]]\nurls = ['stun:a>b']", "ice_servers.0.urls: expected"),
        ("[[ice_servers]]\nurls = ['stun:a, stun:b']", "ice_servers.0.urls: expected"),
        ("[[ice_servers]]\nurls = []", "ice_servers.0.urls: expected"),
        ("[[ice_servers]]\nusername = 'u'", "ice_servers.0.urls: missing"),
        (
            "[[ice_servers]]\nurls = ['stun:x']\ncredential = \"a\\nb\"",
            "ice_servers.0.credential: expected text without",
        ),
        ("[ice_servers]\nurls = ['stun:x']", "ice_servers: expected a list of tables"),
        ("[auth]\ntokens = ['']", "auth.tokens: expected a list of tokens"),
        ("[auth]\ntokens = 'one'", "auth.tokens: expected a list of strings"),
        ("[stream]\ncam = 1", "stream.cam: expected a table"),
        ("[stream.cam]\nsource = []", 'stream.cam.source: unknown key; did you mean "sources"?'),
        ("[stream.cam.channel]\nlisten = '127.0.0.1:1'", "stream.cam.channel.target: missing"),
        ("[stream.cam.strategy]\nauto_delete = 1", "stream.cam.strategy.auto_delete: unknown key"),
        (
            "[[stream.c.targets]]\nurl='whip://a'\n[[stream.c.targets]]\nurl='whip://a'",
            "stream.c.targets: expected each url once",
        ),
        *(
            (f"[[stream.c.targets]]\nurl = '{url}'", "stream.c.targets.0.url: expected a")
            for url in ("whep://a/x", "rtsp://a/x", "whip:///x", "whip://a:99999/x", "whip://[::1/x", "", "/whip/x")
        ),
        *(
            (f"[[stream.c.sources]]\nurl = '{url}'", "stream.c.sources.0.url: expected a whep")
            for url in ("whip://a/x", "whep:///x", "https://", "")
        ),
        ('[stream.".."]', "stream: expected a stream name"),
        ('[stream."a/b"]', "stream: expected a stream name"),
        ("a = ", "not TOML: "),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, {})
    assert raised.value.detail.startswith(message)
    assert "\n" not in raised.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "[auth]\nsecret = 4711",
        "[auth]\ntokens = ['ok', ' hunter2']",
        "[[ice_servers]]\nurls=['x']\ncredential='hunter2'",
    ],
)
def test_a_wrong_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, {})
    assert not re.search("4711|hunter2", raised.value.detail)


def test_a_dump_holds_no_secret() -> None:
    text = repr(
        parse(EVERY_LIVE777_KEY.replace('"c"', '"hunter2"').replace('"s"', '"hunter3"').replace('"t"', '"hunter4"'), {})
    )
    assert "turn.example.org" in text
    for secret in ("hunter", "password", "secret-access-key", "session-token", "liveman-token", "token@"):
        assert secret not in text


@pytest.mark.parametrize(
    ("environ", "text", "path", "expected"),
    [
        ({"PORT": "8080"}, "", "http.listen", "0.0.0.0:8080"),
        ({"PORT": "8080"}, "[http]\nlisten = '127.0.0.1:1'", "http.listen", "127.0.0.1:1"),
        (
            {"PORT": "8080", "LIVE777_HTTP_LISTEN": "[::1]:2"},
            "[http]\nlisten = '127.0.0.1:1'",
            "http.listen",
            "[::1]:2",
        ),
        ({"LOG_LEVEL": "DEBUG"}, "", "log.level", "debug"),
        ({"LOG_LEVEL": "debug"}, "[log]\nlevel = 'error'", "log.level", "error"),
        ({"LOG_LEVEL": "debug", "LIVE777_LOG_LEVEL": "trace"}, "", "log.level", "trace"),
        ({"LIVE777_HTTP_CORS": "true"}, "[http]\ncors = false", "http.cors", True),
        ({"LIVE777_HTTP_CORS": "0"}, "[http]\ncors = true", "http.cors", False),
        ({"LIVE777_AUTH_TOKENS": "a, b,,c"}, "", "auth.tokens", ("a", "b", "c")),
        ({"LIVE777_AUTH_TOKENS": ""}, "[auth]\ntokens = ['a']", "auth.tokens", ()),
        ({"LIVE777_STRATEGY_AUTO_DELETE_WHIP": "5"}, "", "strategy.auto_delete_whip", 5),
        ({"LIVE777_WEBRTC_WORKERS": "4"}, "", "webrtc.workers", 4),
        ({"LIVE777_RECORDER_UPLOAD_ENABLED": "yes"}, "", "recorder.upload.enabled", True),
        ({"LIVE777_RECORDER_STORAGE_BUCKET": "b"}, "", "recorder.storage.bucket", "b"),
        ({"LIVE777_NET4MQTT_ALIAS": "me"}, "", "net4mqtt.alias", "me"),
        ({"LIVE777_HOOKS_ON_ERROR": "continue"}, "", "hooks.on_error", "continue"),
        ({"LIVETWO_WEBRTC_ICE_UDP_ADDR": "127.0.0.1"}, "", "webrtc.ice_udp_addrs", ("127.0.0.1",)),
        (
            {"LIVETWO_WEBRTC_ICE_UDP_ADDR": "127.0.0.1", "LIVE777_WEBRTC_ICE_UDP_ADDR": "127.0.0.2"},
            "",
            "webrtc.ice_udp_addrs",
            ("127.0.0.2",),
        ),
        (
            {"LIVE777_WEBRTC_ICE_UDP_ADDR": "127.0.0.2", "LIVE777_WEBRTC_ICE_UDP_ADDRS": "127.0.0.3,[::1]:0"},
            "[webrtc]\nice_udp_addrs = ['auto']",
            "webrtc.ice_udp_addrs",
            ("127.0.0.3", "[::1]:0"),
        ),
    ],
)
def test_the_environment(environ: dict[str, str], text: str, path: str, expected: object) -> None:
    value: Any = parse(text, environ)
    for name in path.split("."):
        value = getattr(value, name)
    assert value == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LIVE777_HTTP_CORS", "maybe", "LIVE777_HTTP_CORS (http.cors): expected true or false"),
        ("LIVE777_WEBRTC_WORKERS", "two", "LIVE777_WEBRTC_WORKERS (webrtc.workers): expected an integer"),
        ("LIVE777_WEBRTC_WORKERS", "0", "LIVE777_WEBRTC_WORKERS (webrtc.workers): expected an integer from 1 to 64"),
        ("LIVE777_HOOKS_ON_ERROR", "x", "LIVE777_HOOKS_ON_ERROR (hooks.on_error): expected one of"),
        ("LIVETWO_WEBRTC_ICE_UDP_ADDR", "x", "LIVETWO_WEBRTC_ICE_UDP_ADDR (webrtc.ice_udp_addrs): expected a list"),
        ("PORT", "x", "PORT (http.listen): expected an address and a port"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse("", {name: value})
    assert raised.value.detail.startswith(message)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("auto", None, 7777),
        ("auto:0", None, 0),
        ("auto:9000", None, 9000),
        ("192.0.2.1", "192.0.2.1", 7777),
        ("192.0.2.1:0", "192.0.2.1", 0),
        ("2001:db8::1", "2001:db8::1", 7777),
        ("[2001:db8::1]", "2001:db8::1", 7777),
        ("[2001:DB8::1]:9000", "2001:db8::1", 9000),
        ("0.0.0.0:9000", "0.0.0.0", 9000),
    ],
)
def test_media_addresses(text: str, host: str | None, port: int) -> None:
    assert parse_media_address(text) == MediaAddress(host=host, port=port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AUTO",
        "host",
        "host:1",
        "auto:x",
        "auto:",
        "auto:65536",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "1.2.3.4:\u0661",
        "[1.2.3.4]:1",
        "[::1",
        "::1]:1",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_media_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_media_address(text)


def test_what_is_not_built_is_named_once() -> None:
    config = parse("[recorder.upload]\nenabled = true\n[rtsp]\nmax_connections = 1\n", {})
    assert not_built(config) == ("recorder.upload", "rtsp")
    (warning,) = warnings(config, {})
    assert "recorder.upload, rtsp" in warning
    assert list(warnings(Config(), {})) == []


def test_sources_that_are_not_built_are_named_without_their_url() -> None:
    sources = ("rtsp://hunter2@a/b", "file:///a", "b.sdp", "whep://hunter2@a/b", "http://a/b")
    config = parse("".join(f"[[stream.cam.sources]]\nurl = '{url}'\n" for url in sources), {})
    assert [source.pulled for source in config.stream["cam"].sources] == [False, False, False, True, True]
    (warning,) = warnings(config, {})
    assert "stream.cam.sources" in warning
    assert "hunter2" not in warning
    camera = parse("[[stream.cam.sources]]\n[stream.cam.sources.capture]\ndevice = '/dev/video0'\n", {})
    assert not_built(camera) == ("stream.cam.sources.0.capture",)


def test_a_secret_without_tokens_is_warned_about() -> None:
    (warning,) = warnings(parse("[auth]\nsecret = 'hunter2'\n", {}), {})
    assert "OFF" in warning
    assert "hunter2" not in warning


def test_credentials_that_obs_cannot_read_are_warned_about() -> None:
    (warning,) = warnings(parse("[[ice_servers]]\nurls=['turn:x']\nusername='u'\ncredential='hunter2;'\n", {}), {})
    assert "OBS" in warning
    assert "hunter2" not in warning


def test_the_template_is_the_file_in_the_repository() -> None:
    assert CONF.read_text("utf-8") == template()


def test_the_template_is_the_defaults() -> None:
    assert parse(template(), {}) == Config()


def test_the_template_without_its_comment_signs_says_every_key_with_its_default() -> None:
    text = re.sub(r"^#(?=[\w\[])", "", template(), flags=re.MULTILINE)
    text = text.replace('urls = ["stun', 'urls = ["turn').replace('username = ""', 'username = "u"')
    text = text.replace('credential = ""', 'credential = "c"')
    config = parse(text, {})
    table = tomllib.loads(text)
    assert set(table) == {field.name for field in fields(Config)}
    assert config.http == Config().http
    assert config.strategy == Config().strategy
    assert config.webrtc == Config().webrtc
    assert set(config.stream) == {"cam1"}


def test_every_line_of_the_template_is_short() -> None:
    assert max(map(len, template().splitlines())) <= 120


def test_the_file_in_the_current_directory_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Config()
    Path("live777.toml").write_text("[http]\ncors = true\n")
    assert load(None, {}).http.cors


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.toml", None, "cannot read {path}: No such file or directory"),
        ("wrong.toml", b"[http]\ncors = 1\n", "{path}: http.cors: expected true or false"),
        ("latin.toml", b"# \xe9\n", "{path}: not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert raised.value.detail == message.format(path=path)


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "not-executable").touch()
    config = parse(
        "[hooks]\non_stream_created = ['sh', '/bin/sh', '/nowhere/a b']\non_publish_started = ['/nowhere/a b']\n"
        f"[stream.cam.hooks]\non_publish_stopped = ['{tmp_path}/not-executable']\n",
        {},
    )
    assert list(warnings(config, {})) == [
        "hooks: /nowhere/a b is not there, or may not be run",
        f"hooks: {tmp_path}/not-executable is not there, or may not be run",
    ]


def test_a_variable_that_is_no_key_is_named() -> None:
    environ = dict.fromkeys(
        ("LIVE777_HTTP_CORZ", "LIVE777_HTTP_CORS", "LIVE777_WEBRTC_ICE_UDP_ADDR", "LIVE777_PORT", "LIVE777_URL"), "x"
    )
    (warning,) = warnings(Config(), environ)
    assert warning == "no key has this name, without effect: LIVE777_HTTP_CORZ"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("auto", ExternalAddress(ip=None)),
        ("203.0.113.7", ExternalAddress(ip=ip_address("203.0.113.7"))),
        ("203.0.113.7:1", ExternalAddress(ip=ip_address("203.0.113.7"), port=1)),
        ("2001:db8::1", ExternalAddress(ip=ip_address("2001:db8::1"))),
        ("[2001:db8::1]:1", ExternalAddress(ip=ip_address("2001:db8::1"), port=1)),
        (
            "203.0.113.7/192.0.2.7",
            ExternalAddress(ip=ip_address("203.0.113.7"), local_ip=ip_address("192.0.2.7")),
        ),
        (
            "[2001:db8::1]:1/[fd00::1]:2",
            ExternalAddress(ip=ip_address("2001:db8::1"), port=1, local_ip=ip_address("fd00::1"), local_port=2),
        ),
    ],
)
def test_external_addresses(text: str, address: ExternalAddress) -> None:
    assert parse_external_address(text) == address


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("192.0.2.1/::1", "the two addresses are not of one family"),
        ("192.0.2.1:1/192.0.2.2", "a port is needed on both sides, or on none"),
        ("0.0.0.0", "it is not one host, or its port is 0"),
        ("here", "'here' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_an_external_address_is_refused_with_a_reason(entry: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"[webrtc]\nexternal_addrs = ['auto', '{entry}']", {})
    assert raised.value.detail.endswith(f'not "{entry}" ({reason})')


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "AUTO", "auto:1", "auto/192.0.2.1", "192.0.2.1/", "/192.0.2.1", "192.0.2.1/192.0.2.2/192.0.2.3"),
        *("192.0.2.1:0", "224.0.0.1", "::", "192.0.2.1/0.0.0.0", "192.0.2.1/192.0.2.2:1", "[2001:db8::1", "host:1"),
    ],
)
def test_external_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_external_address(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("stun:stun.example.org", ("stun.example.org", 3478)),
        ("STUN:stun.example.org:1", ("stun.example.org", 1)),
        ("stun:192.0.2.1:1", ("192.0.2.1", 1)),
        ("stun:[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("stun:[2001:db8::1]", ("2001:db8::1", 3478)),
    ],
)
def test_stun_servers(text: str, place: tuple[str, int]) -> None:
    assert parse_stun_url(text) == place


@pytest.mark.parametrize("text", ["stun:", "stun::1", "stun://x", "stuns:x", "stun:x:0", "stun:x:1?y", "stun:a@b", "x"])
def test_stun_servers_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stun_url(text)


def test_the_stun_server_for_external_addresses() -> None:
    auto = "[webrtc]\nexternal_addrs = ['auto', '192.0.2.1']\n"
    servers = "[[ice_servers]]\nurls = ['turn:t', 'stun:first']\nusername = 'u'\ncredential = 'c'\n"
    assert external(parse(auto + servers, {})).server == ("first", 3478)
    assert external(parse(auto + "external_stun = 'stun:own:1'\n" + servers, {})).server == ("own", 1)
    assert external(parse(auto.replace("'auto', ", "") + servers, {})).server is None, "nobody is asked for nothing"
