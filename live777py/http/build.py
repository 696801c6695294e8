"""Which build this is: the version, and the commit where it can be known."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import live777py

_PACKAGE = Path(live777py.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Build:
    """`git_hash` is "" where neither LIVE777PY_GIT_HASH nor a checkout tells it. `time` is ISO 8601."""

    version: str
    git_hash: str
    time: str


@functools.cache
def read_build() -> Build:
    git_hash = (os.environ.get("LIVE777PY_GIT_HASH") or commit_of(_PACKAGE.parent))[:7]
    version = f"v{live777py.__version__}" + (f"-g{git_hash}" if git_hash else "")
    modified = datetime.fromtimestamp(Path(live777py.__file__).stat().st_mtime, tz=UTC)
    return Build(version=version, git_hash=git_hash, time=modified.isoformat(timespec="seconds"))


def commit_of(checkout: Path) -> str:
    """What HEAD of a git checkout says, read without git; "" if there is none."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text("ascii").strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text("ascii").strip()
        for line in (git / "packed-refs").read_text("utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    except (OSError, UnicodeDecodeError):
        pass
    return ""
