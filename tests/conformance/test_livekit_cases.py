"""LiveKit's server API as black-box cases: what each asks, and that a test of that number answers.

`pytest -m livekit_case` runs them all.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CASES = {
    1: "CreateRoom gives back what it was given",
    2: "CreateRoom twice: one room, the first one's parameters",
    3: "CreateRoom without the grant, the right secret, a valid token or any",
    4: "ListRooms: all, by name, of a name that is not there",
    5: "DeleteRoom, and again",
    6: "UpdateRoomMetadata: set, cleared, too large, of a room that is not there",
    7: "a room ends after its time-outs",
    8: "ListParticipants of a room that is not there",
    9: "a participant by a token: state, identity, kind, permission",
    10: "a participant that is not there: get, remove, update",
    11: "UpdateParticipant: name, metadata, attributes",
    12: "a participant that may no longer publish",
    13: "MutePublishedTrack: mute, unmute, a track that is not there",
    14: "UpdateSubscriptions",
    15: "SendData: to all, to some, with a topic, a bad nonce",
    16: "MoveParticipant and ForwardParticipant",
    17: "Egress: not built",
    20: "Ingress: not built",
    22: "SIP: not built",
    24: "agent dispatches: create, list, get, delete",
    25: "webhooks: signature and order",
    26: "raw HTTP",
    27: "the same by Node's SDK in JSON, and as Go's and .NET's send it",
}
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("number", CASES)
def test_the_case_has_a_test(number: int) -> None:
    mark = re.compile(
        rf"^ *(@pytest\.mark|pytestmark = pytest\.mark|pytest\.mark)\.livekit_case\({number}\)", re.MULTILINE
    )
    assert any(mark.search(path.read_text()) for path in TESTS.rglob("test_*.py"))
