"""The S3 server is started once; every test has a bucket of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.gateway import free_port
from tests.storage.s3 import make_bucket, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(s3_port: int) -> str:
    name = f"bucket-{uuid.uuid4()}"
    make_bucket(s3_port, name)
    return name


@pytest.fixture
def unused_port() -> int:
    return free_port()
