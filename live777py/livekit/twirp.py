"""Services and their methods, as the descriptors of `livekit.protocol` name them, and what a call of one is.

A service is any object with a coroutine `create_room(request, call)` for its method CreateRoom, and so on; a method
that it has not is `unimplemented`. Who may call what is each method's own first line (`call.require...`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf.message_factory import GetMessageClass
from livekit.protocol import agent_dispatch, egress, ingress, room, sip

from live777py.livekit.errors import PERMISSIONS_DENIED, TwirpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import ServiceDescriptor
    from google.protobuf.message import Message

    from live777py.livekit.grants import Grants


@dataclass(frozen=True, kw_only=True)
class Method:
    """`attribute` is its name in Python: `create_sip_inbound_trunk` of CreateSIPInboundTrunk."""

    service: str
    name: str
    attribute: str
    request: type[Message]
    response: type[Message]


@dataclass(frozen=True, kw_only=True)
class Call:
    """`grants` is None without a token. `deadline` is a time of the event loop's clock; None: none was given."""

    grants: Grants | None
    request_id: str = ""
    deadline: float | None = None

    def require(
        self,
        *,
        room_create: bool = False,
        room_list: bool = False,
        room_record: bool = False,
        ingress_admin: bool = False,
        sip_admin: bool = False,
        sip_call: bool = False,
    ) -> None:
        """Each that is true is needed. Raises TwirpError."""
        if self.grants is None:
            raise _denied()
        video, sip_grants = self.grants.of_room, self.grants.sip
        if (
            (room_create and not video.room_create)
            or (room_list and not video.room_list)
            or (room_record and not video.room_record)
            or (ingress_admin and not video.ingress_admin)
            or (sip_admin and not (sip_grants and sip_grants.admin))
            or (sip_call and not (sip_grants and sip_grants.call))
        ):
            raise _denied()

    def require_room_admin(self, room: str) -> None:
        """Raises TwirpError."""
        if self.grants is None or not self.grants.of_room.room_admin or (self.grants.of_room.room or "") != room:
            raise _denied()

    def require_destination(self, room: str) -> None:
        """That the token names this room as `destinationRoom`. Raises TwirpError."""
        if self.grants is None or (self.grants.of_room.destination_room or "") != room:
            raise _denied()


class Caller(Protocol):
    """Where a call goes: to the services of this node, or to whoever knows another one that has what is asked for."""

    async def call(self, service: str, method: str, request: Message, call: Call) -> Message:
        """`service` and `method` are keys of METHODS, `request` and the answer of its types. Raises TwirpError."""


class Services:
    """The services of this node, by the names of their descriptors ("RoomService")."""

    def __init__(self, services: Mapping[str, object] | None = None) -> None:
        self._services = dict(services or {})

    def add(self, name: str, service: object) -> None:
        if name not in METHODS:
            raise KeyError(name)
        self._services[name] = service

    async def call(self, service: str, method: str, request: Message, call: Call) -> Message:
        known = METHODS[service][method]
        function = getattr(self._services.get(service), known.attribute, None)
        if function is None:
            raise TwirpError("unimplemented", f"{service}.{method} is not built in this version")
        answer: Message = await function(request, call)
        return answer


class NotBuilt:
    """A service none of whose methods is built: who may not call it is told that first."""

    def __init__(self, service: str) -> None:
        for method in METHODS[service].values():
            setattr(self, method.attribute, _refusing(method))


def _refusing(method: Method) -> object:
    needed = _NEEDED.get(method.name) or _NEEDED[method.service]

    async def refuse(_request: Message, call: Call) -> Message:
        call.require(**{needed: True})
        raise TwirpError("unimplemented", f"{method.service}.{method.name} is not built in this version")

    return refuse


_NEEDED: Final = {
    "Egress": "room_record",
    "Ingress": "ingress_admin",
    "SIP": "sip_admin",
    "CreateSIPParticipant": "sip_call",
    "TransferSIPParticipant": "sip_call",
}


def _denied() -> TwirpError:
    return TwirpError("unauthenticated", PERMISSIONS_DENIED)


def snake_case(name: str) -> str:
    """CreateSIPInboundTrunk becomes create_sip_inbound_trunk."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _methods(service: ServiceDescriptor) -> dict[str, Method]:
    return {
        method.name: Method(
            service=service.name,
            name=method.name,
            attribute=snake_case(method.name),
            request=GetMessageClass(method.input_type),
            response=GetMessageClass(method.output_type),
        )
        for method in service.methods
    }


METHODS: Final = {
    service.name: _methods(service)
    for service in (
        room.DESCRIPTOR.services_by_name["RoomService"],
        agent_dispatch.DESCRIPTOR.services_by_name["AgentDispatchService"],
        egress.DESCRIPTOR.services_by_name["Egress"],
        ingress.DESCRIPTOR.services_by_name["Ingress"],
        sip.DESCRIPTOR.services_by_name["SIP"],
    )
}
"""By the name of the service, then that of the method."""
