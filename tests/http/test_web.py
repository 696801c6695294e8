"""The pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.doors import OpenDoor


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    root = tmp_path / "webui"
    for name, text in {
        "index.html": "<!doctype html><title>streams</title>",
        "tools/player.html": "<!doctype html><title>player</title>",
        "assets/index-abc123.js": "export {};",
        "embed.js": "export {};",
    }.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "private.txt").write_text("private")
    (root / "link.txt").symlink_to(tmp_path / "private.txt")
    return root


@pytest.mark.parametrize(
    ("path", "content_type", "caching"),
    [
        ("/", "text/html", "no-cache"),
        ("/index.html", "text/html", "no-cache"),
        ("/tools/player.html?id=cam&autoplay&muted", "text/html", "no-cache"),
        ("/assets/index-abc123.js", "text/javascript", "public, max-age=31536000, immutable"),
        ("/embed.js", "text/javascript", "no-cache"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_pages(open_door: OpenDoor, pages: Path, method: str, path: str, content_type: str, caching: str) -> None:
    door = await open_door('[auth]\ntokens = ["t"]\n', pages=pages)
    response = await door.ask(method, path)
    assert response.status == 200
    assert response.content_type in {content_type, content_type.replace("text/", "application/")}
    assert response.headers["Cache-Control"] == caching
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "script-src" not in response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/../private.txt",
        "/..%2fprivate.txt",
        "/%2e%2e/private.txt",
        "/assets/../../private.txt",
        "/assets/..%2f..%2fprivate.txt",
        "/..%5cprivate.txt",
        "//private.txt",
        "/link.txt",
        "/assets",
        "/assets/",
        "/a%00b",
        "/" + "a" * 5000,
    ],
)
async def test_nothing_outside_is_served(open_door: OpenDoor, pages: Path, path: str) -> None:
    door = await open_door(pages=pages)
    assert (await door.ask_raw("GET", path)).startswith("HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/", "/tools/player.html"])
async def test_without_pages_it_says_how_to_build_them(open_door: OpenDoor, path: str) -> None:
    door = await open_door()
    response = await door.ask("GET", path)
    assert (response.status, response.content_type) == (404, "text/html")
    assert "make web" in await response.text()


async def test_other_methods_find_nothing(open_door: OpenDoor, pages: Path) -> None:
    door = await open_door(pages=pages)
    assert (await door.ask("POST", "/index.html")).status == 404
