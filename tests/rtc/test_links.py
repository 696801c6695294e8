"""`Link` headers, as servers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live777py.rtc.links import MAX_LINKS, IceServer, ice_servers

STUN = IceServer(scheme="stun", host="stun.example", port=3478)
TURN = IceServer(scheme="turn", host="turn.example", port=3478, username='us"er,;', credential="pa;ss, <word>")
STUN_LINK = '<stun:stun.example>; rel="ice-server"'
TURN_LINK = (
    '<turn:turn.example?transport=udp>; rel="ice-server"; username="us\\"er,;"; credential="pa;ss, <word>"; '
    'credential-type="password"'
)
LAYER_LINK = '</session/x/layer>; rel="urn:ietf:params:whep:ext:core:layer"'


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ()),
        (['<stun:stun.example>; rel="ice-server"'], (STUN,)),
        (["<stun:stun.example:3478>;rel=ice-server"], (STUN,)),
        (['<STUN:stun.example>; REL="x ICE-SERVER"'], (STUN,)),
        (['<stun:[2001:db8::1]:5>; rel="ice-server"'], (IceServer(scheme="stun", host="2001:db8::1", port=5),)),
        ([f"{STUN_LINK}, {TURN_LINK}"], (STUN, TURN)),
        ([LAYER_LINK, "<stun:stun.example>; rel=ice-server"], (STUN,)),
        (['<https://stun.example>; rel="ice-server"'], ()),
        (["<stun:stun.example>"], ()),
        (['<stun:stun.example>; title="ice-server"'], ()),
        (["<stun:stun.example:0>; rel=ice-server", "<stun:stun.example:70000>; rel=ice-server"], ()),
        (["stun:stun.example; rel=ice-server"], ()),
        (['<stun:stun.example>; rel="ice-server'], ()),
        (["<stun:a@b>; rel=ice-server"], ()),
    ],
)  # fmt: skip
def test_ice_servers(headers: list[str], expected: tuple[IceServer, ...]) -> None:
    assert ice_servers(headers) == expected


def test_a_credential_is_not_shown() -> None:
    (server,) = ice_servers(['<turn:t>; rel="ice-server"; credential="secret"'])
    assert server.credential == "secret"
    assert "secret" not in repr(server)


def test_there_is_an_end_to_them() -> None:
    assert len(ice_servers(["<stun:a>;rel=ice-server, " * 1000])) == MAX_LINKS


@given(st.text(alphabet='<>;,="\\ stun:[]rel-icv%', max_size=80))
def test_any_text(text: str) -> None:
    ice_servers([text, f'<stun:a>; rel="ice-server"{text}'])
