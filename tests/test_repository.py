"""Rules about the repository itself, checked by machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import live777py

ROOT = Path(__file__).parent.parent
TEXT = {".py", ".pyi", ".rs", ".ts", ".js", ".toml", ".md", ".sh", ".html", ".css", ".json", ""}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=30)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix in TEXT and path.is_file() and path != Path(__file__)]


def test_the_version_is_one() -> None:
    workspace = tomllib.loads((ROOT / "rust/Cargo.toml").read_text())["workspace"]
    assert workspace["package"]["version"] == live777py.__version__


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"/(root|work|home/[a-z]+)/(?!\*)", id="a path of somebody's machine"),
        pytest.param(
            r"registry\.npmjs\.org|pypi\.org|files\.pythonhosted|static\.crates\.io|index\.crates\.io", id="registry"
        ),
        pytest.param(r"\b(TODO|FIXME|XXX|HACK)\b", id="unfinished"),
    ],
)
def test_no_source_holds(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found


def test_links_in_the_docs_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in tracked()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    ]
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []
