"""Bodies of Twirp requests and answers: JSON and protobuf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from live777py.livekit.errors import TwirpError

if TYPE_CHECKING:
    from live777py.livekit.errors import Code

JSON: Final = "application/json"
PROTOBUF: Final = "application/protobuf"

_DECODER: Final = json.JSONDecoder()


def decode(kind: type[Message], media_type: str, body: bytes) -> Message:
    """`media_type` is one of the two above. Raises TwirpError."""
    return _from_json(kind, body) if media_type == JSON else _from_protobuf(kind, body)


def encode(message: Message, media_type: str) -> bytes:
    return to_json(message) if media_type == JSON else message.SerializeToString()


def encode_error(error: TwirpError) -> bytes:
    """Compact: the client for .NET looks for `code":"`. Always JSON."""
    value: dict[str, object] = {"code": error.code, "msg": error.msg}
    if error.meta:
        value["meta"] = dict(error.meta)
    return msgspec.json.encode(value)


def _from_protobuf(kind: type[Message], body: bytes) -> Message:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise _malformed("protobuf") from None


def _from_json(kind: type[Message], body: bytes) -> Message:
    """Names in camel or snake case, unknown ones ignored; what follows the first value is not looked at."""
    try:
        value, _ = _DECODER.raw_decode(body.decode().lstrip())
        message = kind()
        ParseDict(value, message, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError):
        raise _malformed("json") from None
    return message


def to_json(message: Message) -> bytes:
    """Names as in the .proto files, everything that has a default printed, unset messages null."""
    return msgspec.json.encode(_as_dict(message))


def _as_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _malformed(form: str) -> TwirpError:
    code: Code = "malformed"
    return TwirpError(code, f"the {form} request could not be decoded")
