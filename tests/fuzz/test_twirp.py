"""Whatever is sent to the LiveKit door is answered with 2xx or 4xx, and with JSON that Twirp clients read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live777py.app import LIVEKIT, build_doors
from live777py.config import parse
from live777py.errors import Live777Error
from live777py.livekit import codec
from live777py.livekit.errors import HTTP_STATUS, TwirpError
from live777py.livekit.twirp import METHODS
from tests.livekit.doors import FakeRooms
from tests.livekit.tokens import CONFIG, token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

SECONDS: Final = float(os.environ.get("LIVE777_FUZZ_SECONDS", "0"))
PROFILE: Final = settings(
    max_examples=200 + int(200 * SECONDS),
    derandomize=not SECONDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Ask = Callable[[dict[str, Any]], tuple[int, str, bytes]]
"""Status, media type and body of the answer."""

METHODS_OF_ALL: Final = [method for service in METHODS.values() for method in service.values()]
METHOD: Final = st.sampled_from(METHODS_OF_ALL)
NAMES: Final = sorted({name for method in METHODS_OF_ALL for name in method.request.DESCRIPTOR.fields_by_name})

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1", "-1", "3s"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@PROFILE
@given(METHOD, st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5).map(json.dumps) | st.text(max_size=30))
def test_any_json_is_a_message_or_malformed(method: Any, text: str) -> None:
    try:
        message = codec.decode(method.request, codec.JSON, text.encode("utf-8", "surrogatepass"))
    except TwirpError as error:
        assert error.code == "malformed"  # noqa: PT017
        return
    again = codec.decode(method.request, codec.JSON, codec.to_json(message))
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@PROFILE
@given(METHOD, st.binary(max_size=60))
def test_any_bytes_are_a_message_or_malformed(method: Any, body: bytes) -> None:
    try:
        message = codec.decode(method.request, codec.PROTOBUF, body)
    except TwirpError as error:
        assert error.code == "malformed"  # noqa: PT017
        return
    json.loads(codec.to_json(message))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_too_deeply_is_malformed(text: str) -> None:
    with pytest.raises(TwirpError, match="malformed"):
        codec.decode(METHODS["RoomService"]["CreateRoom"].request, codec.JSON, text.encode())


HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
REQUEST = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "POST", "POST", "GET", "OPTIONS", "PUT", "HEAD"]),
        "path": st.sampled_from([f"/twirp/livekit.{method.service}/{method.name}" for method in METHODS_OF_ALL])
        | st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?%"), max_size=12).map(
            lambda text: f"/twirp/livekit.RoomService/{text}"
        ),
        "headers": st.fixed_dictionaries(
            {"Content-Type": st.sampled_from(["application/json", "application/protobuf"]) | HEADER},
            optional={
                "Authorization": st.just(f"Bearer {token()}") | HEADER | HEADER.map(lambda text: f"Bearer {text}"),
                "Origin": HEADER,
                "X-Twirp-Timeout-Ms": HEADER | st.integers().map(str),
                "X-Livekit-Request-Id": HEADER,
                "Access-Control-Request-Headers": HEADER,
            },
        ),
        "data": st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    }
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """One door for all examples."""
    with asyncio.Runner() as runner:

        async def open_it() -> TestClient[web.Request, web.Application]:
            app = build_doors(parse(CONFIG, {}))
            app[LIVEKIT].services.add("RoomService", FakeRooms())
            client = TestClient(TestServer(app))
            await client.start_server()
            return client

        client = runner.run(open_it())

        async def answer(request: dict[str, Any]) -> tuple[int, str, bytes]:
            async with client.request(**request) as response:
                return response.status, response.headers.get("Content-Type", ""), await response.read()

        yield lambda request: runner.run(answer(request))
        runner.run(client.close())


@PROFILE
@given(request=REQUEST)
def test_any_request_is_answered(ask: Ask, request: dict[str, Any]) -> None:
    status, media_type, body = ask(request)
    assert status < 500 or status == 501
    if media_type == "application/json" and status != 200 and body:
        assert HTTP_STATUS[json.loads(body)["code"]] == status


def test_every_error_of_ours_has_a_code() -> None:
    """One that is forgotten in the table would be said to be our fault."""
    from live777py.livekit.errors import as_twirp

    def kinds(kind: type[Live777Error]) -> list[type[Live777Error]]:
        return [kind, *(each for below in kind.__subclasses__() for each in kinds(below))]

    for kind in kinds(Live777Error):
        if 400 <= kind.status < 500:
            made = kind.__new__(kind)
            made.detail = "x"
            assert as_twirp(made).code != "internal", kind
