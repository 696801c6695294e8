"""What a storage is told of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from live777py.storage.path import PARTIAL

if TYPE_CHECKING:
    from pathlib import Path

    from live777py.storage.path import StoragePath


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    root: Path

    @property
    def journal(self) -> Path:
        """A place on the disk that is filled, which no object can have."""
        return self.root / f"{PARTIAL}journal"


@dataclass(frozen=True, kw_only=True)
class BucketSettings:
    """`type` says whose words the others are in: an Azure bucket is a container, its key id the account's name."""

    type: Literal["s3", "gcs", "azure"]
    bucket: str
    root: StoragePath | None = None
    region: str | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    credential_file: str | None = None
    from_environment: bool = True
    """Credentials that are not given here are looked for in the environment and in the machine's metadata."""
    virtual_host_style: bool = False
    timeout: float = 60.0
    """Seconds for one request; larger objects go in parts of 5 MiB."""


@dataclass(frozen=True, kw_only=True)
class SpoolSettings:
    """`max_bytes` is what may wait in `directory`; `concurrency` the uploads at a time."""

    directory: Path
    bucket: BucketSettings
    max_bytes: int
    concurrency: int

    @property
    def journal(self) -> Path:
        return self.directory / "journal"


StorageSettings: TypeAlias = LocalSettings | SpoolSettings
