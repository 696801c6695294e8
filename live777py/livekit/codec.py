"""Bodies of Twirp requests and answers: JSON and protobuf."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from live777py.livekit.errors import TwirpError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

JSON: Final = "application/json"
PROTOBUF: Final = "application/protobuf"

LONG: Final = 16 * 1024
"""Bytes as protobuf, from which on JSON takes milliseconds."""
TURN: Final = 0.002
"""Seconds after which the event loop has its turn."""

_DECODER: Final = json.JSONDecoder()
_WELL_KNOWN: Final = "google.protobuf"


def decode(kind: type[Message], media_type: str, body: bytes) -> Message:
    """`media_type` is one of the two above. Raises TwirpError."""
    return _from_json(kind, body) if media_type == JSON else _from_protobuf(kind, body)


async def encode(message: Message, media_type: str) -> bytes:
    """The JSON of a long list is made in pieces, between which the event loop has its turn."""
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return to_json(message) if message.ByteSize() < LONG else await _long_json(message)


def encode_error(error: TwirpError) -> bytes:
    """Compact: the client for .NET looks for `code":"`. Always JSON."""
    value: dict[str, object] = {"code": error.code, "msg": _valid(error.msg)}
    if error.meta:
        value["meta"] = {name: _valid(text) for name, text in error.meta.items()}
    return msgspec.json.encode(value)


def _valid(text: str) -> str:
    """Headers that are not UTF-8 come as lone surrogates."""
    return text.encode(errors="replace").decode()


def _from_protobuf(kind: type[Message], body: bytes) -> Message:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise _malformed("protobuf") from None


def _from_json(kind: type[Message], body: bytes) -> Message:
    """Names in camel or snake case, unknown ones ignored; what follows the first value is not looked at."""
    try:
        value, _ = _DECODER.raw_decode(body.decode().lstrip())
        if not isinstance(value, dict):
            raise _malformed("json")
        message = kind()
        ParseDict(value, message, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError):
        raise _malformed("json") from None
    return message


async def _long_json(message: Message) -> bytes:
    rest = type(message)()
    rest.CopyFrom(message)
    lists: dict[str, msgspec.Raw] = {}
    for name, _, repeated in _messages(cast("Descriptor", message.DESCRIPTOR)).inner:
        if not repeated:
            continue
        rest.ClearField(name)
        items = []
        turn = time.perf_counter()
        for item in getattr(message, name):
            items.append(to_json(item))
            if time.perf_counter() - turn > TURN:
                await asyncio.sleep(0)
                turn = time.perf_counter()
        lists[name] = msgspec.Raw(b"[" + b",".join(items) + b"]")
    return msgspec.json.encode(_as_dict(rest) | lists)


def to_json(message: Message) -> bytes:
    """Names as in the .proto files, everything that has a default printed, unset messages null."""
    return msgspec.json.encode(_as_dict(message))


def _as_dict(message: Message) -> dict[str, Any]:
    value: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _add_nulls(value, cast("Descriptor", message.DESCRIPTOR))
    return value


@dataclass(frozen=True, slots=True)
class _Messages:
    """The message fields of a type: those that are null when unset, and those (maybe repeated) that are looked into."""

    single: tuple[str, ...]
    inner: tuple[tuple[str, Descriptor, bool], ...]


@functools.cache
def _messages(kind: Descriptor) -> _Messages:
    single, inner = [], []
    for field in kind.fields:
        target = field.message_type
        if target is None:
            continue
        entries = target.GetOptions().map_entry
        # Unset members of a oneof, and what is declared optional, are left out.
        if not field.is_repeated and field.containing_oneof is None:
            single.append(field.name)
        if not entries and target.file.package != _WELL_KNOWN:  # those have a form of their own, such as "30s"
            inner.append((field.name, target, field.is_repeated))
    return _Messages(single=tuple(single), inner=tuple(inner))


def _add_nulls(value: dict[str, Any], kind: Descriptor) -> None:
    messages = _messages(kind)
    for name, target, repeated in messages.inner:
        if (found := value.get(name)) is not None:
            for each in found if repeated else (found,):
                _add_nulls(each, target)
    for name in messages.single:
        value.setdefault(name, None)


def _malformed(form: str) -> TwirpError:
    return TwirpError("malformed", f"the {form} request could not be decoded")
