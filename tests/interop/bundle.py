"""Browser clients from npm as one script each, and whether they are there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

NPM: Final = Path(__file__).with_name("npm")
WEB: Final = Path(__file__).parents[2] / "web"


def package(name: str) -> Path | None:
    """Where `npm ci` has put it."""
    places = (root / "node_modules" / name for root in (NPM, WEB))
    return next((place for place in places if place.exists()), None)


def version(name: str) -> str:
    place = package(name)
    return "" if place is None else str(json.loads((place / "package.json").read_text())["version"])


async def bundled(directory: Path, *exports: str) -> str:
    """A script that puts `export ... from` lines of packages on `window.npm`."""
    entry, script = directory / "entry.js", directory / "bundle.js"
    entry.write_text("\n".join(exports))
    bundler = await asyncio.create_subprocess_exec(
        *(str(NPM / "node_modules" / ".bin" / "esbuild"), str(entry), "--bundle", "--format=iife"),
        *("--global-name=npm", "--log-level=warning", f"--outfile={script}"),
        env={"NODE_PATH": f"{NPM / 'node_modules'}:{WEB / 'node_modules'}", "PATH": "/usr/bin:/bin"},
    )
    assert await bundler.wait() == 0
    return script.read_text()
