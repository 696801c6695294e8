"""A gateway, browsers and the picture that they show one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from tests.gateway import Gateway, running_gateway
from tests.interop.chromium import chromium_browser
from tests.interop.network import network_namespace
from tests.interop.table import Row, Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

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


_TABLE = pytest.StashKey[Table]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A case of the matrix is a row of its table, whatever became of it."""
    report = yield
    if item.get_closest_marker("matrix") is None or not isinstance(item, pytest.Function):
        return report
    if report.when == "call" or (report.when == "setup" and not report.passed):
        case: Any = item.callspec.params["case"]
        number = item.callspec.indices["case"]
        skipped = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        failed = "" if call.excinfo is None else call.excinfo.exconly().splitlines()[0][:120]
        item.config.stash.setdefault(_TABLE, Table()).rows[number] = Row(
            client=case.client.name,
            version="" if report.skipped else case.client.version(),
            direction=case.direction,
            codecs=case.codecs,
            result=case.works if report.passed else f"not run: {skipped}" if report.skipped else f"FAILS: {failed}",
        )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash.setdefault(_TABLE, Table()).write()


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
