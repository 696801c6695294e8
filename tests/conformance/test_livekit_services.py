"""Agent dispatches, and the services that are not built: what LiveKit's Python SDK gets."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api

from tests.conformance.livekit_server import refused, token

if TYPE_CHECKING:
    from tests.conformance.livekit_server import LiveKitServer

Call = Callable[[api.LiveKitAPI], Coroutine[Any, Any, object]]

EGRESS: dict[str, Call] = {
    "room composite": lambda sdk: sdk.egress.start_room_composite_egress(api.RoomCompositeEgressRequest(room_name="r")),
    "web": lambda sdk: sdk.egress.start_web_egress(api.WebEgressRequest(url="http://127.0.0.1:1/")),
    "participant": lambda sdk: sdk.egress.start_participant_egress(api.ParticipantEgressRequest(room_name="r")),
    "track composite": lambda sdk: sdk.egress.start_track_composite_egress(
        api.TrackCompositeEgressRequest(room_name="r")
    ),
    "track": lambda sdk: sdk.egress.start_track_egress(api.TrackEgressRequest(room_name="r")),
    "layout": lambda sdk: sdk.egress.update_layout(api.UpdateLayoutRequest(egress_id="EG_x")),
    "stream": lambda sdk: sdk.egress.update_stream(api.UpdateStreamRequest(egress_id="EG_x")),
    "list": lambda sdk: sdk.egress.list_egress(api.ListEgressRequest()),
    "stop": lambda sdk: sdk.egress.stop_egress(api.StopEgressRequest(egress_id="EG_x")),
}
INGRESS: dict[str, Call] = {
    "create": lambda sdk: sdk.ingress.create_ingress(api.CreateIngressRequest(room_name="r")),
    "update": lambda sdk: sdk.ingress.update_ingress(api.UpdateIngressRequest(ingress_id="IN_x")),
    "list": lambda sdk: sdk.ingress.list_ingress(api.ListIngressRequest()),
    "delete": lambda sdk: sdk.ingress.delete_ingress(api.DeleteIngressRequest(ingress_id="IN_x")),
}
SIP: dict[str, Call] = {
    "inbound trunk": lambda sdk: sdk.sip.create_inbound_trunk(
        api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(name="x"))
    ),
    "trunks": lambda sdk: sdk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest()),
    "rules": lambda sdk: sdk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest()),
    "call": lambda sdk: sdk.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(sip_trunk_id="ST_x", sip_call_to="+1", room_name="r")
    ),
}


async def assert_unimplemented(livekit: LiveKitServer, call: Call) -> None:
    with refused("unimplemented", 501):
        await call(livekit.api)


@pytest.mark.livekit_case(17)
@pytest.mark.parametrize("name", EGRESS)
async def test_egress_is_not_built(livekit: LiveKitServer, name: str) -> None:
    await assert_unimplemented(livekit, EGRESS[name])


@pytest.mark.livekit_case(20)
@pytest.mark.parametrize("name", INGRESS)
async def test_ingress_is_not_built(livekit: LiveKitServer, name: str) -> None:
    await assert_unimplemented(livekit, INGRESS[name])


@pytest.mark.livekit_case(22)
@pytest.mark.parametrize("name", SIP)
async def test_sip_is_not_built(livekit: LiveKitServer, name: str) -> None:
    await assert_unimplemented(livekit, SIP[name])


@pytest.mark.livekit_case(17)
@pytest.mark.parametrize(
    ("service", "method"), [("Egress", "ListEgress"), ("Ingress", "ListIngress"), ("SIP", "ListSIPInboundTrunk")]
)
async def test_who_may_not_ask_is_told_no_more(livekit: LiveKitServer, service: str, method: str) -> None:
    answer = await livekit.call(method, "{}", token(room_list=True), service=service)
    assert (answer.status, answer.body) == (401, b'{"code":"unauthenticated","msg":"permissions denied"}')


async def test_a_remote_call_is_unimplemented(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    await livekit.publisher("show", "alice")
    body = '{"room":"show","destination_identity":"alice","method":"greet","payload":"x"}'
    answer = await livekit.call("PerformRpc", body, token(room_admin=True, room="show"))
    assert answer.status == 501
    assert b'"code":"unimplemented"' in answer.body


@pytest.mark.livekit_case(24)
async def test_dispatches_are_created_listed_and_deleted(livekit: LiveKitServer) -> None:
    dispatches = livekit.api.agent_dispatch
    made = await dispatches.create_dispatch(
        api.CreateAgentDispatchRequest(room="show", agent_name="scribe", metadata="about it")
    )
    assert made.id.startswith("AD_")
    assert (made.room, made.agent_name, made.metadata) == ("show", "scribe", "about it")
    assert made.state.created_at > 10**18
    second = await dispatches.create_dispatch(api.CreateAgentDispatchRequest(room="show", agent_name="second"))
    assert {each.id for each in await dispatches.list_dispatch("show")} == {made.id, second.id}
    got = await dispatches.get_dispatch(made.id, "show")
    assert got is not None
    assert (got.id, got.agent_name) == (made.id, "scribe")
    assert await dispatches.get_dispatch("AD_unknown", "show") is None
    assert (await dispatches.delete_dispatch(made.id, "show")).id == made.id
    assert [each.id for each in await dispatches.list_dispatch("show")] == [second.id]
    with refused("not_found", 404, "dispatch ID not found"):
        await dispatches.delete_dispatch(made.id, "show")


@pytest.mark.livekit_case(24)
async def test_a_dispatch_makes_its_room(livekit: LiveKitServer) -> None:
    await livekit.api.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="show", agent_name="scribe"))
    (room,) = (await livekit.api.room.list_rooms(api.ListRoomsRequest())).rooms
    assert room.name == "show"


@pytest.mark.livekit_case(24)
@pytest.mark.parametrize("deployment", ["with space", "under_score", "x" * 65])
async def test_the_name_of_a_deployment(livekit: LiveKitServer, deployment: str) -> None:
    body = f'{{"room":"show","agent_name":"scribe","deployment":"{deployment}"}}'
    answer = await livekit.call(
        "CreateDispatch", body, token(room_admin=True, room="show"), service="AgentDispatchService"
    )
    assert answer.status == 400
    assert b'"code":"invalid_argument"' in answer.body
