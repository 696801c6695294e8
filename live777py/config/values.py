"""The values that are more than a string: addresses, ICE server URLs, codec names. Checks raise ValueError("...")."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_PORT = 7777
DEFAULT_TCP_PORT = 7778
"""Of media over TCP: the other one is the HTTP server's."""

DEFAULT_STUN_PORT = 3478

MAX_STREAM_NAME = 255
STREAM_NAME_RULE = (
    f"a stream name of 1 to {MAX_STREAM_NAME} printable characters without slash and backslash, and not . or .."
)

VIDEO_CODECS = ("VP8", "VP9", "H264", "H265", "AV1")
AUDIO_CODECS = ("OPUS", "G722", "PCMU", "PCMA")

EVENTS = (
    "stream-created",
    "stream-deleted",
    "publish-started",
    "publish-stopped",
    "subscriber-joined",
    "subscriber-left",
    "recording_started",
    "segment",
    "recording_ended",
)
"""What hooks and webhooks tell."""

# RFC 7064 and RFC 7065: scheme ":" host [":" port] ["?transport=" name]
_ICE_URL = re.compile(
    r"(?:(?:stuns?):[^\s<>\"?,;]+|(?:turns?):[^\s<>\"?,;]+(?:\?transport=(?:udp|tcp))?)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class SocketAddress:
    """An IP address and a port; `host` has no brackets."""

    host: str
    port: int

    @property
    def pair(self) -> tuple[str, int]:
        return self.host, self.port

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class MediaAddress:
    """One entry of `webrtc.ice_udp_addrs` or `ice_tcp_addrs`. `host` is None for "auto": every routed local address.

    Port 0: any. An unspecified address (0.0.0.0, ::) stands for the routed ones of its family.
    """

    host: str | None
    port: int


IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class ExternalAddress:
    """One entry of `webrtc.external_addrs`: what the world sees of a local address.

    `ip` is None for "auto". Without `local_ip` it stands for every routed address of its family, without ports for the
    port that the socket has; `port` is that of the first worker. `local_port` is only there together with both.
    """

    ip: IpAddress | None
    port: int | None = None
    local_ip: IpAddress | None = None
    local_port: int | None = None


def parse_socket_address(text: str) -> SocketAddress:
    """ "IP:PORT" or "[v6]:PORT"; raises ValueError."""
    host, port = _split_port(text)
    if port is None:
        raise ValueError("IP:PORT")
    return SocketAddress(host=str(ipaddress.ip_address(host)), port=port)


def parse_media_address(text: str, default_port: int = DEFAULT_PORT) -> MediaAddress:
    """ "auto", "auto:PORT", "IP", "IP:PORT", "v6" or "[v6]:PORT". Raises ValueError."""
    host, port = _split_port(text)
    port = default_port if port is None else port
    if host == "auto":
        return MediaAddress(host=None, port=port)
    address = ipaddress.ip_address(host)
    if address.is_multicast:
        raise ValueError("a unicast address")
    return MediaAddress(host=str(address), port=port)


def parse_external_address(text: str) -> ExternalAddress:
    """ "auto", "IP", "IP:PORT", "IP/LOCAL" or "IP:PORT/LOCAL:PORT", IPv6 with a port in brackets. Raises ValueError."""
    if text == "auto":
        return ExternalAddress(ip=None)
    outside, slash, inside = text.partition("/")
    ip, port = _one_host(outside)
    local_ip, local_port = _one_host(inside) if slash else (None, None)
    if local_ip is not None and local_ip.version != ip.version:
        raise ValueError("the two addresses are not of one family")
    if (local_port is None) != (port is None) and slash:
        raise ValueError("a port is needed on both sides, or on none")
    return ExternalAddress(ip=ip, port=port, local_ip=local_ip, local_port=local_port)


def _one_host(text: str) -> tuple[IpAddress, int | None]:
    host, port = _split_port(text)
    address = ipaddress.ip_address(host)
    if address.is_multicast or address.is_unspecified or port == 0:
        raise ValueError("it is not one host, or its port is 0")
    return address, port


def _split_port(text: str) -> tuple[str, int | None]:
    if match := re.fullmatch(r"\[([^\[\]]+)\](?::(\d{1,5}))?", text):
        host, digits = match.groups()
        if ":" not in host:
            raise ValueError("brackets around an IPv6 address only")
    elif text.count(":") > 1:
        host, digits = text, None
    else:
        host, colon, digits = text.partition(":")
        if colon and not re.fullmatch(r"[0-9]{1,5}", digits):
            raise ValueError("a port")
    if not digits:
        return host, None
    if int(digits) > 65535:
        raise ValueError("a port of at most 65535")
    return host, int(digits)


def is_stream_name(name: str) -> bool:
    """One path segment that is safe to show and to use as a file name; `STREAM_NAME_RULE` says it to people."""
    return (
        0 < len(name) <= MAX_STREAM_NAME
        and name not in {".", ".."}
        and name.isprintable()
        and not any(char in "/\\" for char in name)
    )


def stream_names(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not all(is_stream_name(name) for name in value):
        raise ValueError(STREAM_NAME_RULE)
    return value


def socket_address(value: str) -> str:
    try:
        return str(parse_socket_address(value))
    except ValueError:
        raise ValueError('an address and a port, such as "0.0.0.0:7777" or "[::]:7777"') from None


def udp_endpoint(value: str) -> str:
    address = socket_address(value)
    if parse_socket_address(address).port == 0:
        raise ValueError("a port other than 0")
    return address


def media_addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        try:
            parse_media_address(entry)
        except ValueError:
            raise ValueError('a list of "auto", "auto:PORT", "IP", "IP:PORT" or "[IPv6]:PORT"') from None
    return value


def some_media_addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("at least one address")
    return media_addresses(value)


def external_addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        try:
            parse_external_address(entry)
        except ValueError as error:
            raise ValueError(
                'a list of "auto", "IP", "IP:PORT", "IP/LOCAL" or "IP:PORT/LOCAL:PORT", such as'
                f' "203.0.113.7/10.0.0.5" or "[2001:db8::7]:40000/[fd00::5]:7777", not "{entry}" ({error})'
            ) from None
    return value


def stun_url(value: str) -> str:
    """Empty, or one that is asked over UDP."""
    if value:
        try:
            parse_stun_url(value)
        except ValueError:
            raise ValueError('a URL such as "stun:stun.example.org:3478"') from None
    return value


def parse_stun_url(value: str) -> tuple[str, int]:
    """Host and port (RFC 7064); raises ValueError."""
    scheme, _, place = value.partition(":")
    if scheme.lower() != "stun" or not re.fullmatch(r"[^\s/?@#]+", place):
        raise ValueError("a stun: URL")
    host, port = _split_port(place)
    if not host or port == 0:
        raise ValueError("a host and a port other than 0")
    return host, DEFAULT_STUN_PORT if port is None else port


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(entry)) for entry in value)
    except ValueError:
        raise ValueError('a list of IP addresses or networks, such as "10.0.0.0/8"') from None


def ice_urls(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(_ICE_URL.fullmatch(url) for url in value):
        raise ValueError('a list of URLs such as "stun:host:port" or "turn:host:port?transport=udp"')
    return value


def printable(value: str) -> str:
    """Values that travel in a header."""
    if not value.isprintable():
        raise ValueError("text without control characters")
    return value


def programs(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(not program.isprintable() or not program.strip() for program in value):
        raise ValueError("a list of programs; a program with arguments is a script of its own")
    return value


def tokens(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(not token or token != token.strip() or not token.isprintable() for token in value):
        raise ValueError("a list of tokens, none empty or with blanks around it")
    return value


def hmac_secret(value: str) -> str:
    """RFC 8725 section 2.1: who verifies by a public key must not take that key for a shared secret."""
    if re.search(r"-----\s*BEGIN|^\s*(?:ssh-|ecdsa-)|\"kty\"\s*:", value):
        raise ValueError("a secret, not a key of a key pair")
    return value


def http_url(value: str) -> str:
    """Empty, or absolute; raises ValueError without repeating what may hold a password."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if value and not (valid and value.isprintable() and " " not in value):
        raise ValueError("an http:// or https:// URL")
    return value


def endpoint(value: str) -> str:
    """Of an object store; without a scheme it is https."""
    url = value if "://" in value else f"https://{value}"
    expected = "an http:// or https:// URL without user name, query and fragment"
    try:
        parts = urlsplit(some_http_url(url))
    except ValueError:
        raise ValueError(expected) from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(expected)
    return url.rstrip("/")


def is_http_like(url: str) -> bool:
    """WHIP and WHEP addresses."""
    return urlsplit(url).scheme in {"http", "https", "whip", "whips", "whep", "wheps"}


def source_url(value: str) -> str:
    return _url(value, "a whep://, wheps://, http:// or https:// URL with a host", {"whip", "whips"})


def target_url(value: str) -> str:
    expected = "a whip://, whips://, http:// or https:// URL with a host"
    if not is_http_like(_url(value, expected, {"whep", "wheps"})):
        raise ValueError(expected)
    return value


def _url(value: str, expected: str, refused: set[str]) -> str:
    """The text of the error repeats nothing: a URL may hold a token."""
    try:
        parts = urlsplit(value)
        valid = bool(value) and (bool(parts.hostname) or not is_http_like(value)) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.scheme in refused:
        raise ValueError(expected)
    return value


def some(value: str) -> str:
    if not value.strip():
        raise ValueError("some text")
    return value


def some_patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(value):
        raise ValueError('a list of patterns, such as ["cam*"]')
    return value


def some_http_url(value: str) -> str:
    return http_url(value) if value else http_url("-")


def some_http_urls(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("each url once")
    return tuple(some_http_url(url) for url in value)


def redis_url(value: str) -> str:
    """Empty or a URL that redis-py takes. The text of the error repeats nothing: the URL may hold a password."""
    try:
        parts = urlsplit(value)
        valid = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname) and parts.port != 0
        valid = valid and parts.scheme in {"redis", "rediss", "unix"}
    except ValueError:
        valid = False
    if value and not (valid and value.isprintable() and " " not in value):
        raise ValueError("a redis://, rediss:// or unix:// URL")
    return value


def events(value: tuple[str, ...]) -> tuple[str, ...]:
    if not set(value) <= set(EVENTS):
        raise ValueError(f"names out of {', '.join(EVENTS)}")
    return value


def between(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"an integer from {low} to {high}")
        return value

    return check


def codecs(known: tuple[str, ...]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check(value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.upper() for name in value)
        if not set(names) <= set(known):
            raise ValueError(f"names out of {', '.join(known)}")
        return names

    return check


def one_of_lower(*names: str) -> Callable[[Any], Any]:
    def check(value: str) -> str:
        if value.lower() not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return value.lower()

    return check
