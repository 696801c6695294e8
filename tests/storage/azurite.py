"""Azurite, Azure's own emulator of its blob storage, as npm has it: `npm install --prefix DIRECTORY azurite`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from tests.gateway import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT: Final = "recorder"
KEY: Final = base64.b64encode(b"the key of an account of an emulator").decode()
_VERSION: Final = "2021-12-02"


def program() -> str | None:
    """In `AZURITE_BIN`, or of the path."""
    return os.environ.get("AZURITE_BIN") or shutil.which("azurite-blob")


@contextmanager
def azurite(directory: Path) -> Iterator[int]:
    """Its port on 127.0.0.1."""
    port = free_port()
    command = [program() or "azurite-blob", "--blobPort", str(port), "--location", str(directory)]
    command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    environment = os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if b"successfully listens" in line:
                    break
            yield port
        finally:
            process.kill()


def make_container(port: int, name: str) -> None:
    """Create Container of the Blob service's REST API, signed with the account's key."""
    date = formatdate(time.time(), usegmt=True)
    headers = f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    text = "PUT\n" + "\n" * 11 + headers + resource
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{ACCOUNT}/{name}?restype=container",
        method="PUT",
        headers={"x-ms-date": date, "x-ms-version": _VERSION, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
    )
    urllib.request.urlopen(request, timeout=10).close()
