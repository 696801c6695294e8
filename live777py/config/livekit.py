"""The keys of the LiveKit door and of the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from live777py.config import values
from live777py.config.keys import Fallback, key, section

DEV_KEY: Final = "devkey"
DEV_SECRET: Final = "secret"  # noqa: S105 (everybody knows it: that of `livekit-server --dev`)
MIN_SECRET: Final = 32
"""Bytes of the secret of an API key; RFC 7518 section 3.2 says so of HS256."""

_MAX_INT = 2**32 - 1


def api_keys(keys: Mapping[str, str]) -> Mapping[str, str]:
    for name, secret in keys.items():
        if not name or not name.isprintable() or name != name.strip():
            raise ValueError("names of API keys without blanks around them")
        values.hmac_secret(secret)
    return keys


@dataclass(frozen=True, kw_only=True)
class LiveKitRoomConfig:
    """What a room has that is made without saying so."""

    auto_create: bool = key(True, "A room is made when its first participant comes.")
    empty_timeout: int = key(
        300, "Seconds after which a room that nobody ever came to is closed.", check=values.between(1, _MAX_INT)
    )
    departure_timeout: int = key(
        20, "Seconds after which a room is closed that the last one has left.", check=values.between(1, _MAX_INT)
    )
    max_participants: int = key(0, "Participants that a room takes; 0 = no limit.", check=values.between(0, _MAX_INT))
    enable_remote_unmute: bool = key(False, "The API may unmute a track that it has muted.")


@dataclass(frozen=True, kw_only=True)
class LiveKitWebhookConfig:
    """As LiveKit's `webhook` block."""

    urls: tuple[str, ...] = key(
        (), "http(s) URLs that events of rooms are posted to.", secret=True, check=values.some_http_urls
    )
    api_key: str = key("", "API key, one of [livekit.keys], whose secret the posts are signed with.")
    include_events: tuple[str, ...] = key((), "Events that are posted; empty = all.")
    exclude_events: tuple[str, ...] = key((), "Events that are not posted. include_events wins.")


@dataclass(frozen=True, kw_only=True)
class LiveKitConfig:
    keys: Mapping[str, str] = key(
        {},
        f"API keys and their secrets, of at least {MIN_SECRET} characters each. With one, the LiveKit API is open.\n"
        'In the environment "key: secret", several separated by commas.',
        fallback=Fallback(name="LIVEKIT_KEYS"),
        example={"APIname": "a random text of 32 characters or more"},
        secret=True,
        live=True,
        check=api_keys,
    )
    dev: bool = key(
        False, f'For trying out: the key "{DEV_KEY}" with the secret "{DEV_SECRET}"; other secrets may be short.'
    )
    room: LiveKitRoomConfig = section(
        LiveKitRoomConfig, "What rooms are like unless they are made otherwise.", live=True
    )
    webhook: LiveKitWebhookConfig = section(
        LiveKitWebhookConfig, "Posts about rooms, as LiveKit makes them.", live=True
    )

    @property
    def api_keys(self) -> Mapping[str, str]:
        """The keys of the table, and the one of `dev`."""
        return {**({DEV_KEY: DEV_SECRET} if self.dev else {}), **self.keys}

    @property
    def enabled(self) -> bool:
        return bool(self.dev or self.keys)


def sound_keys(livekit: LiveKitConfig) -> LiveKitConfig:
    for name, secret in livekit.keys.items():
        if len(secret.encode()) < MIN_SECRET and not livekit.dev:
            raise ValueError(f'a secret of at least {MIN_SECRET} characters for the key "{name}" (or dev = true)')
    webhook = livekit.webhook
    if webhook.urls and not webhook.api_key:
        raise ValueError("webhook.api_key beside webhook.urls")
    if webhook.api_key and webhook.api_key not in livekit.api_keys:
        raise ValueError("webhook.api_key to be one of the keys")
    return livekit


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    redis_url: str = key(
        "",
        "redis://, rediss:// or unix:// URL of the Redis server that the nodes share. Empty = this node is alone.",
        example="redis://127.0.0.1:6379/0",
        secret=True,
        check=values.redis_url,
    )
    whep: Literal["pull", "redirect"] = key(
        "pull",
        "A stream that another node has: pull it from there once for all viewers here, or redirect them there (307).",
    )
    node_id: str = key(
        "", "Name of this node, one of its own; empty = a random one at each start.", check=values.printable
    )
    url: str = key(
        "",
        "http(s) URL at which the other nodes, and viewers that are redirected, reach this one.\n"
        "Empty = http:// and the address of http.listen.",
        example="http://192.0.2.1:7777",
        check=values.http_url,
    )
    heartbeat_ms: int = key(
        2000,
        "Milliseconds between two signs of life; a node that has given none for four times as long is gone.",
        check=values.between(100, 60_000),
    )
    timeout_ms: int = key(3000, "Milliseconds that another node may take to answer.", check=values.between(100, 60_000))
