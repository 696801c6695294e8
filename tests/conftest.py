"""What every kind of test may use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import aioice.ice
import pytest

from tests.confidential import lines_with_token
from tests.fakes import media as fake_media

if importlib.util.find_spec("live777py._media") is None:
    # Without a Rust toolchain the tests of the control side still run; those of the real engine are skipped.
    sys.modules["live777py._media"] = fake_media

native = importlib.import_module("live777py.media.native")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from live777py.media.engine import MediaEngine


BESIDE_OTHERS: Final = tuple(Path(__file__).with_name(name) for name in ("cluster", "interop"))
"""Tests with browsers, encoders and Redis servers, which share the machine with them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of these, what fails is run once more, and told of as `rerun`. Nothing else is: a race of ours shows."""
    for item in items:
        if any(item.path.is_relative_to(directory) for directory in BESIDE_OTHERS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def _no_token_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Of the test's own process; `tests.gateway` looks at the gateways'."""
    yield
    assert lines_with_token([*caplog.get_records("setup"), *caplog.get_records("call")]) == []


@pytest.fixture
def loopback_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out of its host candidates."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
def fake_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway runs on `tests.fakes.media` instead of the built engine."""
    for name in native.__all__:
        monkeypatch.setattr(native, name, getattr(fake_media, name))


@pytest.fixture
async def engine(fake_native: None) -> AsyncIterator[MediaEngine]:
    """A media engine of two workers over the fake."""
    from live777py.media.engine import MediaEngine

    engine = MediaEngine([["127.0.0.1:0"], ["127.0.0.1:0"]])
    yield engine
    engine.close()


@pytest.fixture
def fake(engine: MediaEngine) -> fake_media.Engine:
    """What is behind `engine`."""
    return cast("fake_media.Engine", engine._engine)
