"""The composition root: addresses, and what is built from the configuration."""

from __future__ import annotations

import socket

import pytest

from live777py.app import announcement, listen
from live777py.config import SocketAddress


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("0.0.0.0", "http://127.0.0.1:7777"),
        ("::", "http://127.0.0.1:7777"),
        ("192.0.2.1", "http://192.0.2.1:7777"),
        ("2001:db8::1", "http://[2001:db8::1]:7777"),
    ],
)
def test_what_is_printed_can_be_pasted(host: str, origin: str) -> None:
    page, whip = announcement((host, 7777), pages=True)
    assert page.endswith(f" {origin}/")
    assert whip.endswith(f" {origin}/whip/demo")


def test_missing_pages_are_mentioned() -> None:
    page, _ = announcement(("127.0.0.1", 1), pages=False)
    assert page.endswith("(not built: make web)")


@pytest.mark.parametrize(
    ("host", "client", "accepted"),
    [("127.0.0.1", "127.0.0.1", True), ("::", "127.0.0.1", True), ("::", "::1", True), ("::1", "127.0.0.1", False)],
)
def test_the_unspecified_ipv6_address_takes_ipv4_too(host: str, client: str, accepted: bool) -> None:
    with listen(SocketAddress(host=host, port=0)) as listener:
        port = listener.getsockname()[1]
        family = socket.AF_INET6 if ":" in client else socket.AF_INET
        with socket.socket(family) as caller:
            assert (caller.connect_ex((client, port)) == 0) is accepted
