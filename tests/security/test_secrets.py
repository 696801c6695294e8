"""Nothing that the gateway was told in confidence is in its log, at any level, or in an answer (S13)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.fakes.remote import offer, watch
from tests.gateway import running_gateway
from tests.http.doors import OFFER, scoped
from tests.http.signers import key_set, signer
from tests.light import LightPeer

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = [
    "hunter-static",
    "hunter-hmac",
    "hunter-user",
    "hunter-password",
    "hunter-query",
    "hunter-source",
    "hunter-target",
    "hunter-turn",
    "hunter-guess",
    "hunter-cookie",
]

CONFIG = """
[log]
level = "trace"
[auth]
tokens = ["hunter-static"]
secret = "hunter-hmac"
jwks = "{keys}"
http_url = "http://hunter-user:hunter-password@127.0.0.1:1/?key=hunter-query"
[[ice_servers]]
urls = ["turn:127.0.0.1:1"]
username = "name"
credential = "hunter-turn"
[[stream.cam.sources]]
url = "whep://hunter-source@127.0.0.1:1/whep/cam"
[[stream.cam.targets]]
url = "whip://hunter-target@127.0.0.1:1/whip/cam"
"""


async def test_no_secret_is_in_the_log_or_in_an_answer(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(signer("ES256").jwk()))
    tokens = [signer("ES256").token(id="cam"), scoped("cam", secret="hunter-hmac")["Authorization"].split()[1]]
    headers = [
        {"Authorization": "Bearer hunter-static"},
        {"Authorization": "bearer  hunter-guess"},
        {"Authorization": "Basic hunter-guess"},
        {"Authorization": "hunter-guess", "Cookie": "token=hunter-cookie"},
        *({"Authorization": f"Bearer {token}"} for token in tokens),
    ]
    answers = ""
    async with (
        running_gateway(tmp_path, config=CONFIG.replace("{keys}", str(keys))) as gateway,
        aiohttp.ClientSession() as client,
    ):
        for sent in headers:
            for method, path in (
                ("POST", "/whip/cam?token=hunter-query"),
                ("POST", "/whep/cam?access_token=hunter-query"),
                ("DELETE", "/session/cam/unknown"),
                ("GET", "/api/streams/"),
                ("GET", "/api/streams/cam"),
                ("GET", "/api/strategy/"),
                ("GET", "/metrics"),
            ):
                sdp = {**sent, "Content-Type": "application/sdp"}
                async with client.request(method, gateway.url + path, data=OFFER, headers=sdp) as response:
                    answers += await response.text() + str(response.headers)
        await gateway.terminate()
        log = "\n".join(gateway.log)
    assert "keys read from auth.jwks" in log
    assert "the authorisation service (auth.http_url) did not answer" in log
    for secret in [*SECRETS, *tokens]:
        assert secret not in log
        assert secret not in answers


WHOLE = """
[log]
level = "trace"
[auth]
tokens = ["hunter-static"]
secret = "hunter-hmac"
[hooks]
on_publish_started = ["{program}"]
on_stream_created = ["/nowhere/program"]
[[webhooks]]
url = "http://hunter-user:hunter-password@127.0.0.1:1/hunter-path?key=hunter-query"
secret = "hunter-signature"
[store]
path = "{directory}/store.db"
[[stream.cam.targets]]
url = "whip://hunter-target@127.0.0.1:1/whip/cam?key=hunter-query"
[[stream.pulled.sources]]
url = "whep://hunter-source@127.0.0.1:1/whep/cam?key=hunter-query"
"""
BROKEN = '[auth]\ntokens = ["hunter-new", " hunter-new"]\n'
NOT_TOML = '[auth]\ntokens = ["hunter-new"\nsecret = "hunter-new"\n'


async def test_nor_after_a_whole_session(tmp_path: Path) -> None:
    """A publisher and a viewer, cascade, hooks, webhooks and reloads, most of which fail in their own way."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    program.chmod(0o755)
    answers: list[str] = []
    secrets = {*SECRETS, "hunter-path", "hunter-signature", "hunter-api", "hunter-new", "hunter-cluster"}
    config = WHOLE.format(program=program, directory=tmp_path)
    environment = {"LIVE777_NET4MQTT_MQTT_URL": "mqtt://user:hunter-cluster@127.0.0.1:1"}
    async with (
        running_gateway(tmp_path, config=config, environment=environment) as gateway,
        aiohttp.ClientSession(headers={"Authorization": "Bearer hunter-static"}) as client,
    ):

        async def ask(method: str, path: str, **options: Any) -> tuple[int, str, str]:
            async with client.request(method, gateway.url + path, **options) as response:
                text = await response.text()
                answers.append(f"{text} {response.headers}")
                return response.status, text, response.headers.get("Location", "")

        peers = []
        for path, sdp in (("/whip/cam?token=hunter-query", offer("opus", "vp8")), ("/whep/cam", watch("opus", "vp8"))):
            status, answer, location = await ask("POST", path, data=sdp, headers={"Content-Type": "application/sdp"})
            assert status == 201
            peers.append((LightPeer(), location))
            await peers[-1][0].connect(answer)
            secrets.add(re.findall("a=ice-pwd:(.*)\r\n", answer)[0])
            answers.pop()  # whose ice-pwd is meant for the peer
        for path, body in (
            ("/api/cascade/pull", {"token": "hunter-api", "sourceUrl": "http://127.0.0.1:1/whep/x?key=hunter-query"}),
            ("/api/cascade/cam", {"token": "hunter-api", "targetUrl": "http://hunter-user:x@127.0.0.1:1/whip/x"}),
            ("/api/cascade/pull", {"sourceUrl": "ftp://hunter-user:hunter-password@127.0.0.1"}),
            ("/api/sources/added", {"url": "whep://hunter-source@127.0.0.1:1/whep/x"}),
        ):
            status, _, _ = await ask("POST", path, json=body)
            assert status >= 400
        for path in ("/api/streams/", "/api/sources", "/api/streams/cam", "/metrics", "/api/openapi.json"):
            assert (await ask("GET", path))[0] == 200
        for wrong in (BROKEN, NOT_TOML):
            gateway.configure(wrong)
            assert (await ask("POST", "/api/config/reload"))[0] == 422
        for says in (
            "webhook http://127.0.0.1:1, stream-created of stream cam",
            "/nowhere/program cannot be run",
            "INFO",
            "DEBUG",
        ):
            await gateway.logged(says)
        for peer, location in reversed(peers):
            assert (await ask("DELETE", location))[0] == 204
            peer.close()
        await gateway.terminate()
        log = "\n".join(gateway.log)
    told = (tmp_path / "environment").read_text()
    assert "LIVE777_STREAM=cam" in told
    for secret in secrets:
        assert secret not in log
        assert secret not in "\n".join(answers)
        assert secret not in told
