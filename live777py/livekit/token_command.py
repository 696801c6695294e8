"""`live777py token create`: a token by the words of a command line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from live777py.errors import ConfigError
from live777py.livekit.grants import AgentGrants, InferenceGrants, ObservabilityGrants, SipGrants, VideoGrants
from live777py.livekit.tokens import create_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from live777py.config import LiveKitConfig

_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "video": VideoGrants,
    "sip": SipGrants,
    "agent": AgentGrants,
    "inference": InferenceGrants,
    "observability": ObservabilityGrants,
}
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WORDS: Final = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Texts as they were typed; "" is not said."""

    api_key: str = ""
    room: str = ""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    kind: str = ""
    attributes: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    valid_for: str = "6h"


def create(config: LiveKitConfig, wanted: Wanted) -> str:
    """Raises ConfigError."""
    keys = config.api_keys
    if not keys:
        raise ConfigError("no API key: set one in [livekit.keys], or livekit.dev = true")
    key = wanted.api_key or next(iter(keys))
    if key not in keys:
        raise ConfigError(f"no API key {key!r} in the configuration")
    tables = _grants(wanted.grants or (("roomJoin",) if wanted.room else ()))
    if wanted.room:
        tables.setdefault("video", {}).setdefault("room", wanted.room)
    video = tables.get("video", {})
    if video.get("roomJoin") and not (video.get("room") and wanted.identity):
        raise ConfigError("roomJoin needs --room and --identity")
    said = {"name": wanted.name, "metadata": wanted.metadata, "kind": wanted.kind}
    claims: dict[str, Any] = {name: text for name, text in said.items() if text}
    claims |= {name: _typed(table, _TABLES[name]) for name, table in tables.items()}
    return create_token(
        key,
        keys[key],
        identity=wanted.identity,
        ttl=_seconds(wanted.valid_for),
        attributes=_attributes(wanted.attributes),
        **claims,
    )


def _grants(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By table: "sip.call" is of the table "sip", a word without a dot of "video"."""
    tables: dict[str, dict[str, Any]] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            tables.setdefault("video", {}).update(_object(word))
            continue
        path, _, value = word.partition("=")
        table, dot, name = path.rpartition(".")
        if table not in ({*_TABLES} if dot else {""}) or not name:
            raise ConfigError(f"no such grant: {path}")
        tables.setdefault(table or "video", {})[name] = _value(name, value or "true")
    return tables


def _value(name: str, text: str) -> object:
    if name == "canPublishSources":
        return [source for source in text.split(",") if source]
    return _WORDS.get(text.lower(), text)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError(f"not a JSON object: {text}")
    return value


def _typed(table: dict[str, Any], kind: type[msgspec.Struct]) -> msgspec.Struct:
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    if unknown := [name for name in table if name not in known]:
        raise ConfigError(f"no such grant: {unknown[0]}; expected some of {', '.join(sorted(known))}")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a wrong grant: {error}") from None


def _attributes(pairs: Iterable[str]) -> dict[str, str] | None:
    attributes = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigError(f"expected NAME=VALUE: {pair}")
        attributes[name] = value
    return attributes or None


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", text)
    if match is None:
        raise ConfigError(f"expected a time such as 30m or 6h: {text}")
    return int(match[1]) * _SECONDS[match[2]]
