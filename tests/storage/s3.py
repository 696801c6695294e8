"""A real S3 server (moto) in a process of its own, and a bucket in it."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from live777py.storage.settings import BucketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live777py.storage import StoragePath

SECRET = "a secret access key"


_SERVER = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
"""It ends with who started it: then there is nobody at the other end of its input."""


@contextmanager
def s3_server() -> Iterator[int]:
    """Its port on 127.0.0.1."""
    command = [sys.executable, "-W", "ignore", "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def make_bucket(port: int, name: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def settings(port: int, bucket: str, *, root: StoragePath | None = None, timeout: float = 20.0) -> BucketSettings:
    return BucketSettings(
        type="s3",
        bucket=bucket,
        root=root,
        region="us-east-1",
        endpoint=f"http://127.0.0.1:{port}",
        access_key_id="key-id",
        secret_access_key=SECRET,
        timeout=timeout,
    )
