"""What the configuration says."""

from __future__ import annotations

import pytest

from live777py import settings
from live777py.config import parse
from live777py.errors import ConfigError

REDIS = '[cluster]\nredis_url = "redis://:hunter2@127.0.0.1/3"\n'


def url(listen: str, more: str = "") -> str:
    return settings.cluster(parse(f'{REDIS}{more}[http]\nlisten = "{listen}"\n', {})).node.url


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("192.0.2.1:7777", "http://192.0.2.1:7777"), ("[2001:db8::1]:80", "http://[2001:db8::1]:80")],
)
def test_the_address_is_where_it_listens(listen: str, expected: str) -> None:
    assert url(listen) == expected
    assert url(listen, 'url = "https://node-1.example/"\n') == "https://node-1.example"


@pytest.mark.parametrize("listen", ["0.0.0.0:7777", "[::]:7777"])
def test_everywhere_is_some_address_of_this_machine(listen: str) -> None:
    assert url(listen).startswith("http://")
    assert url(listen).endswith(":7777")
    assert not url(listen).startswith(("http://0.0.0.0", "http://[::]:"))


def test_a_port_that_is_not_known_needs_a_url() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.url"):
        url("127.0.0.1:0")


def test_names_and_times() -> None:
    config = parse(f'{REDIS}node_id = "one"\nheartbeat_ms = 500\ntimeout_ms = 700\nwhep = "redirect"\n', {})
    found = settings.cluster(config)
    assert (found.node.id, found.heartbeat, found.timeout, found.whep) == ("one", 0.5, 0.7, "redirect")
    assert "hunter2" not in repr(found)
    other = settings.cluster(parse(REDIS, {}))
    assert other.node.id != settings.cluster(parse(REDIS, {})).node.id
    assert found.node.run != settings.cluster(config).node.run
