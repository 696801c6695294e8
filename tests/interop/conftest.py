"""A gateway, browsers and the picture that they show one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from tests.gateway import Gateway, running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.network import network_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser

CLIENT = Path(__file__).with_name("client.js").read_text()


class Page(Protocol):
    """What a Playwright page and our Firefox page have in common."""

    async def goto(self, url: str) -> Any: ...
    async def evaluate(self, expression: str, arg: Any = None) -> Any: ...


PageT = TypeVar("PageT", bound=Page)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.interop)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as running:
        yield running


@pytest.fixture
def own_network() -> Iterator[str]:
    with network_namespace() as address:
        yield address


@pytest.fixture
async def gateway_beyond_loopback(own_network: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """For Firefox and libnice, whose ICE has no loopback address: media in a network namespace of the test's own."""
    async with running_gateway(tmp_path, environment={"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{own_network}:0"}) as running:
        yield running


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with chromium_browser() as browser:
        yield browser


async def load_client(page: Page) -> None:
    await page.evaluate(f"() => {{ {CLIENT} }}")


async def with_client(page: PageT, gateway: Gateway) -> PageT:
    """The page on the gateway's origin (no CORS is needed), with `client.js` as `t`: plain text, a viewer of none."""
    await page.goto(gateway.url + "/metrics")
    await load_client(page)
    return page
