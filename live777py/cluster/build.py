"""The cluster and its Redis server, put together: imported by nodes that are in one, and by no others."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from live777py.cluster.service import Cluster
from live777py.outbound import AddressPolicy, Outbound
from live777py.rtc.client import ClientPeer
from live777py.store.redis_kv import RedisKeyValue
from live777py.store.redis_link import RedisLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.cluster.settings import ClusterSettings
    from live777py.media.engine import MediaEngine
    from live777py.outbound import Endpoint
    from live777py.rtc.certificate import Certificate
    from live777py.rtc.peer import PeerOwner
    from live777py.streams.cascading import MakeClientPeer
    from live777py.streams.manager import StreamManager

NAME: Final = "live777"
"""Before all that is kept in Redis. Several clusters share a server by its databases."""


class Shared:
    """What the nodes share: `store`, and the way from one to another, which is open whatever the configuration says."""

    def __init__(self, settings: ClusterSettings, link: RedisLink, outbound: Outbound) -> None:
        self.store: Final = RedisKeyValue(link)
        self._settings = settings
        self._link = link
        self._outbound = outbound

    def cluster(self, manager: StreamManager) -> Cluster:
        return Cluster(self._settings, self._link, self.store, manager)

    def client_peers(self, others: MakeClientPeer) -> MakeClientPeer:
        """`others` makes those that lead out of the cluster."""

        def make(
            engine: MediaEngine,
            certificate: Certificate,
            *,
            owner: PeerOwner,
            endpoint: Endpoint,
            stream: str,
            session: str,
        ) -> ClientPeer:
            make_peer = partial(ClientPeer, outbound=self._outbound) if endpoint.own else others
            return make_peer(engine, certificate, owner=owner, endpoint=endpoint, stream=stream, session=session)

        return make


@asynccontextmanager
async def shared(settings: ClusterSettings) -> AsyncIterator[Shared]:
    """Raises ConfigError. A Redis server that is not there is waited for."""
    link = RedisLink(settings.redis_url, name=NAME)
    outbound = Outbound(AddressPolicy(allow_private=True))
    parts = Shared(settings, link, outbound)
    try:
        yield parts
    finally:
        await parts.store.close()
        await link.close()
        await outbound.close()
