"""What the permission of a participant's token means for its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live777py.errors import Forbidden
from live777py.streams.clients import Client
from live777py.streams.participant import Participant, Permission, room_of
from tests.fakes.remote import offer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.streams.conftest import House


def client(permission: Permission) -> Client:
    return Client(loopback=True, participant=Participant(room="s", identity="alice", permission=permission))


@pytest.mark.parametrize(
    ("sources", "offered", "refused"),
    [
        ((), ("opus", "vp8"), None),
        (("camera", "microphone"), ("opus", "vp8"), None),
        (("screen_share", "screen_share_audio"), ("opus", "vp8"), None),
        (("microphone",), ("opus",), None),
        (("microphone",), ("opus", "vp8"), "video"),
        (("camera",), ("opus", "vp8"), "audio"),
        (("camera",), ("vp8",), None),
        (("screen_share_audio",), ("vp8",), "video"),
        (("unknown",), ("opus",), "audio"),
    ],
)
async def test_sources_that_may_be_published(
    house: House, sources: Iterable[str], offered: tuple[str, ...], refused: str | None
) -> None:
    asking = client(Permission(can_publish_sources=frozenset(sources)))
    if refused is None:
        await house.manager.publish("s", offer(*offered), client=asking)
        return
    with pytest.raises(Forbidden, match=f"does not allow to publish {refused}"):
        await house.manager.publish("s", offer(*offered), client=asking)
    assert house.manager.streams() == []


async def test_without_the_right_to_publish(house: House) -> None:
    with pytest.raises(Forbidden):
        await house.manager.publish("s", offer("opus"), client=client(Permission(can_publish=False)))


@pytest.mark.parametrize("allowed", [True, False])
async def test_whose_data_is_heard(house: House, allowed: bool) -> None:
    answer = await house.manager.publish("s", offer("opus"), client=client(Permission(can_publish_data=allowed)))
    assert house.live(answer).speaks is allowed
    assert house.live(answer).session.participant == client(Permission(can_publish_data=allowed)).participant


@pytest.mark.parametrize(
    ("stream", "room"), [("show", "show"), ("alice@show", "show"), ("alice@example.org@show", "show"), ("a@", "")]
)
def test_the_room_of_a_stream(stream: str, room: str) -> None:
    assert room_of(stream) == room
