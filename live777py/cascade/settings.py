"""What the configuration says about other servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from live777py.outbound import Endpoint


@dataclass(frozen=True, kw_only=True)
class StreamCascade:
    """`sources` in the order in which they are tried; `on_demand`: only while somebody watches."""

    sources: tuple[Endpoint, ...] = ()
    on_demand: bool = False
    targets: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CascadeSettings:
    streams: Mapping[str, StreamCascade] = field(default_factory=dict)
