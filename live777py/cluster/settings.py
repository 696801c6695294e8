"""What the configuration says about the cluster, as the cluster reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from live777py.cluster.membership import Node


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Times are in seconds."""

    redis_url: str = field(repr=False)
    node: Node
    whep: Literal["pull", "redirect"] = "pull"
    heartbeat: float = 2.0
    timeout: float = 3.0
