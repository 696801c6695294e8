"""Which keys a reload changes, and which wait for the next start."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from live777py.config import Config, compare, parse

if TYPE_CHECKING:
    from live777py.config.keys import Key


PAGE = Path(__file__).parent.parent / "docs/configuration.md"


def test_the_page_says_what_is_live() -> None:
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for field in fields(Config):
        section: Key = field.metadata["key"]
        value = getattr(Config(), field.name)
        inner = fields(value) if is_dataclass(value) else ()
        of_keys = {f"{field.name}.{each.name}": each.metadata["key"].live for each in inner}
        if not section.built:
            continue
        if set(of_keys.values()) <= {None}:
            found[bool(section.live)].add(field.name)
        for name, live in of_keys.items():
            if set(of_keys.values()) > {None}:
                found[bool(section.live if live is None else live)].add(name)
    (row,) = re.findall(r"\| changes at once \| needs a restart \|\n.*\n\| (.*) \| (.*) \|\n", PAGE.read_text())
    assert [set(re.findall("`(.*?)`", cell)) for cell in row] == [found[True], found[False]]


@pytest.mark.parametrize(
    ("old", "new", "live", "restart_needed"),
    [
        ("", "", (), ()),
        ("", "[log]\nlevel = 'debug'", ("log.level",), ()),
        ("", "[http]\ncors = true\nlisten = '127.0.0.1:1'", ("http.cors",), ("http.listen",)),
        ("[auth]\ntokens = ['hunter2']", "", ("auth.tokens",), ()),
        ("", "[[ice_servers]]\nurls = ['stun:x']", ("ice_servers",), ()),
        ("", "[webrtc]\nworkers = 2\nice_lite = false", (), ("webrtc.ice_lite", "webrtc.workers")),
        ("[stream.a]\n[stream.b]", "[stream.b]\n[stream.c]", ("stream.a", "stream.c"), ()),
        (
            "[stream.a]\n",
            "[strategy]\nauto_delete_whep = 5\n[stream.a]\n",
            ("strategy.auto_delete_whep", "stream.a.strategy.auto_delete_whep"),
            (),
        ),
        ("", "[recorder]\nauto_streams = ['*']", ("recorder.auto_streams",), ()),
        ("", "[recorder]\nindex_path = 'i'", (), ("recorder.index_path",)),
        ("", "[recorder.upload]\nenabled = true", (), ()),
    ],
)
def test_what_changes(old: str, new: str, live: tuple[str, ...], restart_needed: tuple[str, ...]) -> None:
    before, after = parse(old, {}), parse(new, {})
    changes = compare(before, after)
    assert changes.live == live
    assert set(changes.restart_needed) == set(restart_needed)
    assert changes.config.http.listen == before.http.listen
    assert changes.config.webrtc == before.webrtc
    assert (changes.config.stream, changes.config.auth) == (after.stream, after.auth)
    # What waits for a restart is named again by the next reload.
    assert compare(changes.config, after).restart_needed == changes.restart_needed
    assert compare(changes.config, after).live == ()
