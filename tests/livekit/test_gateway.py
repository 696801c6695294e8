"""The LiveKit door of a gateway process: what opens it, what its command line makes, how keys change."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest
from livekit import api

from live777py import cli
from live777py.config import parse, warnings
from live777py.errors import ConfigError
from live777py.livekit.token_command import Wanted, create
from live777py.livekit.tokens import TokenVerifier
from tests.gateway import running_gateway
from tests.livekit.tokens import CONFIG, KEY, SECRET, sign, token

if TYPE_CHECKING:
    from pathlib import Path

    from live777py.livekit.grants import Grants

LIST_ROOMS = "/twirp/livekit.RoomService/ListRooms"
LONG = "x" * 40


def store(directory: Path) -> str:
    return f'[store]\npath = "{directory}/store.db"\n'


async def test_the_sdk_is_answered(tmp_path: Path) -> None:
    """A good token, a long one, one in the query that is not logged; keys that a reload changes."""
    new = f'{store(tmp_path)}[livekit.keys]\nnew = "{LONG}"\n'
    async with (
        running_gateway(tmp_path, config=f"[log]\nlevel = 'debug'\n{store(tmp_path)}{CONFIG}") as gateway,
        aiohttp.ClientSession() as client,
    ):

        async def status(bearer: str | None, path: str = LIST_ROOMS) -> int:
            headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
            async with client.post(gateway.url + path, json={}, headers=headers) as response:
                return response.status

        sdk = api.LiveKitAPI(gateway.url, KEY, SECRET)
        assert list((await sdk.room.list_rooms(api.ListRoomsRequest())).rooms) == []
        await sdk.aclose()
        assert await status(token()) == 200
        assert await status(token(metadata="x" * 20_000)) == 200
        assert await status(token(metadata="x" * 100_000)) == 400
        assert await status(None, f"{LIST_ROOMS}?access_token={token()}") == 200
        assert await status(token(iss="new")) == 401
        gateway.configure(new)
        gateway.process.send_signal(signal.SIGHUP)
        await gateway.logged("configuration read again")
        assert await status(token()) == 401
        assert await status(token(video=None)) == 401
        assert await status(sign({"iss": "new", "exp": 10**10, "video": {"roomList": True}}, secret=LONG)) == 200


async def test_the_first_key_needs_a_restart(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, config=store(tmp_path)) as gateway, aiohttp.ClientSession() as client:
        async with client.post(gateway.url + LIST_ROOMS, json={}) as response:
            assert response.status == 404
        gateway.configure(store(tmp_path) + CONFIG)
        async with client.post(f"{gateway.url}/api/config/reload") as response:
            assert response.status == 422
            assert "livekit.keys: the first key needs a restart" in await response.text()


def test_without_keys_nothing_of_it_is_loaded() -> None:
    """The messages of LiveKit take memory, and time at start."""
    program = (
        "import sys\n"
        "from live777py.app import build_app\n"
        "from live777py.config import parse\n"
        "build_app(parse('', {}))\n"
        "print(*(name for name in sys.modules if name.startswith(('google.protobuf', 'livekit'))))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[livekit.keys]\nshort = "0123456789012345678901234567890"', "livekit: expected a secret of at least 32 char"),
        ('[livekit.keys]\nempty = ""', "livekit: expected a secret of at least 32 characters"),
        (f'[livekit.keys]\n" a" = "{LONG}"', "livekit.keys: expected names of API keys without blanks"),
        (f'[livekit.keys]\n"" = "{LONG}"', "livekit.keys: expected names of API keys"),
        ("[livekit.keys]\na = 1", "livekit.keys: expected a table of strings"),
        ('[livekit]\nkeys = "a: b"', "livekit.keys: expected a table of strings"),
        (
            '[livekit.keys]\na = "-----BEGIN PUBLIC KEY----- 0123456789 0123456789"',
            "livekit.keys: expected a secret, not a key of a key pair",
        ),
        (f'[livekit.keys]\na = "{LONG}"\n[livekit.webhook]\nurls = ["http://x"]', "livekit: expected webhook.api_key"),
        (
            f'[livekit.keys]\na = "{LONG}"\n[livekit.webhook]\napi_key = "b"',
            "livekit: expected webhook.api_key to be one of the keys",
        ),
        ("[livekit.webhook]\nurls = ['ftp://x']", "livekit.webhook.urls: expected an http:// or https:// URL"),
        ("[livekit.webhook]\nurls = ['http://x', 'http://x']", "livekit.webhook.urls: expected each url once"),
        ("[livekit.room]\nempty_timeout = 0", "livekit.room.empty_timeout: expected an integer from 1"),
        ("[cluster]\nredis_url = 'http://hunter2@x'", "cluster.redis_url: expected a redis://"),
        ("[cluster]\nredis_url = 'redis://'", "cluster.redis_url: expected a redis://"),
        ("[cluster]\nwhep = 'proxy'", 'cluster.whep: expected one of "pull", "redirect"'),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, {})
    assert raised.value.detail.startswith(message)
    for secret in (LONG, "hunter2", "0123456789"):
        assert secret not in raised.value.detail


@pytest.mark.parametrize(
    ("text", "environment", "keys"),
    [
        ("", {}, {}),
        ("[livekit]\ndev = true", {}, {"devkey": "secret"}),
        ("[livekit]\ndev = true\n[livekit.keys]\na = 'short'", {}, {"devkey": "secret", "a": "short"}),
        ("", {"LIVEKIT_KEYS": f"a: {LONG}"}, {"a": LONG}),
        ("", {"LIVEKIT_KEYS": f"a: {LONG}\nb:{LONG}, c : {LONG}"}, {"a": LONG, "b": LONG, "c": LONG}),
        (f"[livekit.keys]\na = '{LONG}'", {"LIVEKIT_KEYS": "b: c"}, {"a": LONG}),
        (f"[livekit.keys]\na = '{LONG}'", {"LIVE777_LIVEKIT_KEYS": f"b: {LONG}"}, {"b": LONG}),
    ],
)
def test_where_keys_come_from(text: str, environment: dict[str, str], keys: dict[str, str]) -> None:
    config = parse(text, environment).livekit
    assert config.api_keys == keys
    assert config.enabled is bool(keys)


@pytest.mark.parametrize("text", ["a", "a: short"])
def test_keys_of_the_environment_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse("", {"LIVEKIT_KEYS": text})
    assert "short" not in raised.value.detail


def made(*arguments: str, config: Path, capsys: pytest.CaptureFixture[str]) -> Grants:
    assert cli.main(["token", "create", "-c", str(config), *arguments]) == 0
    return TokenVerifier({KEY: SECRET, "other": "another-secret-" * 3}).verify(capsys.readouterr().out.strip())


def test_the_command_line_makes_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "live777.toml"
    config.write_text(CONFIG)
    joins = made("--room", "show", "--identity", "alice", config=config, capsys=capsys)
    assert (joins.iss, joins.identity) == (KEY, "alice")
    assert (joins.of_room.room, joins.of_room.room_join) == ("show", True)
    assert joins.exp - (joins.nbf or 0) == 6 * 3600
    rich = made(
        *("--room", "show", "--identity", "bob", "--name", "Bob", "--metadata", "m", "--kind", "agent"),
        *("--attribute", "a=b", "--attribute", "c=d=e", "--api-key", "other", "--valid-for", "2d"),
        *("--grant", "roomAdmin", "--grant", "canPublish=false", "--grant", "canPublishSources=camera,microphone"),
        *("--grant", "sip.call", "--grant", '{"hidden": true, "destinationRoom": "there"}'),
        config=config,
        capsys=capsys,
    )
    video = rich.of_room
    assert (rich.iss, rich.name, rich.metadata, rich.kind) == ("other", "Bob", "m", "agent")
    assert rich.attributes == {"a": "b", "c": "d=e"}
    assert rich.exp - (rich.nbf or 0) == 2 * 86400
    assert (video.room, video.room_admin, video.room_join) == ("show", True, None)
    assert (video.can_publish, video.can_publish_sources) == (False, ("camera", "microphone"))
    assert (video.hidden, video.destination_room) == (True, "there")
    assert rich.sip is not None
    assert (rich.sip.call, rich.sip.admin) == (True, None)
    assert made("--grant", "roomList", config=config, capsys=capsys).of_room.room is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--grant", "roomMaster"), "no such grant: roomMaster; expected some of agent"),
        (("--grant", "sip.answer"), "no such grant: answer; expected some of admin, call"),
        (("--grant", "video."), "no such grant: video."),
        (("--grant", "phone.call"), "no such grant: phone.call"),
        (("--grant", "roomAdmin=maybe"), "a wrong grant"),
        (("--grant", "{"), "not a JSON object: {"),
        (("--grant", '{"roomAdmin": 1}'), "a wrong grant"),
        (("--room", "show"), "roomJoin needs --room and --identity"),
        (("--grant", "roomJoin", "--identity", "a"), "roomJoin needs --room and --identity"),
        (("--attribute", "a"), "expected NAME=VALUE: a"),
        (("--valid-for", "soon"), "expected a time such as 30m or 6h: soon"),
        (("--valid-for", "0"), "expected a time"),
        (("--api-key", "nobody"), "no API key 'nobody' in the configuration"),
    ],
)
def test_what_the_command_line_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    config = tmp_path / "live777.toml"
    config.write_text(CONFIG)
    assert cli.main(["token", "create", "-c", str(config), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"live777py: {message}")
    assert SECRET not in error


def test_the_key_that_everybody_knows_is_warned_of() -> None:
    (warning,) = warnings(parse("[livekit]\ndev = true", {}), {})
    assert "livekit.dev is set" in warning


def test_without_a_key_there_is_no_token() -> None:
    with pytest.raises(ConfigError, match="no API key: set one"):
        create(parse("", {}).livekit, Wanted())
