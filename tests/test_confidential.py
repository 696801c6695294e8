"""The look into the logs of the suite's gateways finds what it is for."""

from __future__ import annotations

import logging

import pytest

from tests.confidential import assert_no_secret, lines_with_token, secrets_of
from tests.livekit.tokens import CONFIG, SECRET, token

WHOLE = f"""
{CONFIG}
[auth]
tokens = ["hunter-static"]
[[webhooks]]
url = "http://hunter-user:hunter-password@127.0.0.1:1/path?key=hunter-query"
secret = "hunter-signature"
[[stream.cam.targets]]
url = "whip://hunter-target@127.0.0.1:1/whip/cam"
[cluster]
redis_url = "redis://:hunter-redis@127.0.0.1:6379/0"
"""


def test_every_secret_of_a_configuration_is_known() -> None:
    assert secrets_of(WHOLE, {"LIVE777_AUTH_SECRET": "hunter-hmac"}) == {
        SECRET,
        "another-secret-" * 3,
        "hunter-static",
        "hunter-hmac",
        "hunter-user",
        "hunter-password",
        "hunter-query",
        "hunter-signature",
        "hunter-target",
        "hunter-redis",
    }
    assert secrets_of("nonsense", {}) == set()


@pytest.mark.parametrize("secret", [SECRET, "hunter-redis", token()])
def test_a_line_that_holds_one_is_found(secret: str) -> None:
    assert_no_secret("INFO a line", WHOLE, {})
    with pytest.raises(AssertionError):
        assert_no_secret(f"INFO a line with {secret} in it", WHOLE, {})


def test_so_is_a_record_of_the_test_itself(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("live777py.somewhere")
    logger.warning("got Bearer %s", token())
    assert lines_with_token(caplog.records) == []
    logger.warning("got %s", token())
    assert len(lines_with_token(caplog.records)) == 1
    caplog.clear()
