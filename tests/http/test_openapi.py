"""The description of the API is complete and consistent, its page has no script. Is it true? tests/conformance."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from live777py.http.api_page import write_page
from live777py.http.auth import Access
from live777py.http.door import RESOURCES
from live777py.http.openapi import ApiDocument
from live777py.http.resource import Operation, Parameter, Resource, json_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.doors import OpenDoor


@pytest.fixture
async def document(open_door: OpenDoor) -> dict[str, Any]:
    response = await (await open_door()).ask("GET", "/api/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    document: dict[str, Any] = await response.json()
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


async def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    described = {(method, path): operation for method, path, operation in _operations(document)}
    served = {
        (method, resource.described_path): op for resource in RESOURCES for method, op in resource.operations.items()
    }
    assert set(described) == set(served)
    for route, operation in served.items():
        assert described[route]["summary"]
        assert (described[route].get("security") == []) is (operation.access is Access.PUBLIC)
        assert any(status.startswith("2") for status in described[route]["responses"])


async def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = Counter(operation["operationId"] for _method, _path, operation in _operations(document))
    assert ids.most_common(1)[0][1] == 1


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', msgspec.json.encode(document).decode()))
    assert references == set(document["components"]["schemas"])


async def test_bodies_errors_and_headers(document: dict[str, Any]) -> None:
    publish = document["paths"]["/whip/{stream}"]["post"]
    assert list(publish["requestBody"]["content"]) == ["application/sdp"]
    assert set(publish["responses"]["201"]["headers"]) == {"Location", "Link", "Accept-Patch", "ETag"}
    offered = document["paths"]["/whep/{stream}"]["post"]["responses"]["406"]
    assert set(offered["headers"]) == {"Location", "Link", "Accept-Patch", "ETag"}
    patch = document["paths"]["/session/{stream}/{session}"]["patch"]
    assert list(patch["requestBody"]["content"]) == ["application/trickle-ice-sdpfrag", "application/sdp"]
    assert set(patch["responses"]["200"]["headers"]) == {"ETag"}
    assert {"204", "409", "412", "415", "428"} < set(patch["responses"])
    problem = publish["responses"]["409"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    mute = document["paths"]["/session/{stream}/{session}"]["post"]
    assert {"400", "401", "403", "404", "408", "413", "415", "422", "429"} < set(mute["responses"])
    schema = document["components"]["schemas"]["StreamView"]["properties"]
    assert {"createdAt", "onDemand", "statsScope"} < set(schema)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs/"])
async def test_the_page(open_door: OpenDoor, path: str) -> None:
    response = await (await open_door()).ask("GET", path)
    assert (response.status, response.content_type) == (200, "text/html")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    page = _Page()
    page.feed(await response.text())
    assert page.tags["script"] == 0
    assert page.tags["details"] == len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "/api/openapi.json" in page.links


def test_what_is_written_on_the_page_is_escaped() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response()

    operation = Operation(
        summary="<img src=x onerror=alert(1)>",
        handler=handler,
        access=Access.PUBLIC,
        answers={200: json_content(list[str] | None)},
        query={"q": Parameter(text="</td><script>")},
    )
    value = ApiDocument([Resource(path="/<b>", operations={"GET": operation})]).value
    page = _Page()
    page.feed(write_page(value).decode())
    assert page.tags["img"] == page.tags["script"] == page.tags["b"] == 0
