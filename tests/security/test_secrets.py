"""Nothing that the gateway was told in confidence is in its log, at any level, or in an answer (S13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from tests.gateway import running_gateway
from tests.http.doors import OFFER, scoped
from tests.http.signers import key_set, signer

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
