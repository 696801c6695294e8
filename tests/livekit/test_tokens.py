"""Access tokens: what a good one says, and every kind of bad one on every route."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from live777py.errors import Forbidden
from live777py.livekit.errors import TwirpError
from live777py.livekit.grants import Grants, VideoGrants
from live777py.livekit.tokens import LEEWAY, TokenVerifier, create_token, participant_of
from live777py.livekit.twirp import METHODS, Call, snake_case
from live777py.streams.participant import Participant, Permission
from tests.http.doors import OFFER, SDP
from tests.http.routes import at, guarded
from tests.livekit.tokens import (
    ALL_GRANTS,
    CONFIG,
    IDENTITY,
    KEY,
    ROOM,
    SECRET,
    bad_tokens,
    claims,
    joining,
    sign,
    token,
)

if TYPE_CHECKING:
    from tests.livekit.doors import OpenLiveKit

BAD = bad_tokens()
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier({KEY: SECRET, "other": "another-secret-" * 3})


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(verifier: TokenVerifier, name: str) -> None:
    with pytest.raises(TwirpError) as raised:
        verifier.verify(BAD[name])
    assert raised.value.code == "unauthenticated"
    assert SECRET not in raised.value.msg
    assert BAD[name] not in raised.value.msg or len(BAD[name]) < 9


@pytest.mark.parametrize(
    ("bad", "msg"),
    [
        ("not a token", "invalid authorization token"),
        ("unknown key", "invalid API key"),
        ("no key", "invalid API key"),
        ("wrong secret", "invalid authorization token: the signature is wrong"),
        ("alg none", "invalid authorization token: it must be signed with HS256"),
        ("expired", "invalid authorization token: it has expired"),
        ("no exp", "invalid authorization token: exp is missing"),
        ("nbf in the future", "invalid authorization token: it is not valid yet"),
        ("roomAdmin is text", "invalid authorization token: its claims are not understood"),
    ],
)
async def test_what_is_wrong_is_said(open_livekit: OpenLiveKit, bad: str, msg: str) -> None:
    door = await open_livekit()
    response = await door.call("ListRooms", bearer=BAD[bad], data="{}")
    assert response.status == 401
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(await response.text()) == {"code": "unauthenticated", "msg": msg}


@pytest.mark.parametrize("header", ["Basic abc", "bearer x", "Bearer", "Token x", "BEARER x"])
async def test_a_header_without_bearer(open_livekit: OpenLiveKit, header: str) -> None:
    door = await open_livekit()
    response = await door.call("ListRooms", bearer=None, data="{}", headers={"Authorization": header})
    assert response.status == 401
    assert json.loads(await response.text())["msg"] == "invalid authorization header. Must start with Bearer "


MAX_HEADER = 8000
"""Characters that aiohttp's test server takes."""
TWIRP = [("POST", f"/twirp/livekit.{service}/{method}") for service, methods in METHODS.items() for method in methods]
LIVEKIT = [
    ("POST", "/twirp/livekit.RoomService/Nope"),
    ("POST", "/twirp/livekit.Nope/Nope"),
    ("GET", "/agent"),
    ("POST", "/whip/v1"),
    ("PATCH", "/whip/v1/PA_1"),
    ("DELETE", "/whip/v1/PA_1"),
    ("GET", "/whip/v1/PA_1"),
]
OTHER = [(method, at(path, stream=ROOM)) for method, path, _ in guarded()]
FIRST = [TWIRP[0], ("GET", "/agent"), ("POST", "/whip/v1"), ("POST", f"/whip/{ROOM}"), ("POST", f"/whep/{ROOM}")]
"""Where every kind of bad token is tried; three of them are tried everywhere."""
SOME = ("wrong secret", "expired", "alg none")


@pytest.mark.parametrize("config", [CONFIG, f'{CONFIG}[auth]\ntokens = ["static"]\n'], ids=["open", "auth"])
async def test_bad_tokens_are_refused_on_every_route(
    open_livekit: OpenLiveKit, caplog: pytest.LogCaptureFixture, config: str
) -> None:
    caplog.set_level("DEBUG")
    door = await open_livekit(config)
    tried = [(route, name) for route in FIRST for name in BAD]
    tried += [(route, name) for route in (*TWIRP, *LIVEKIT, *OTHER) for name in SOME]
    for (method, path), name in tried:
        bad = BAD[name]
        if not bad.isascii() or len(bad) > MAX_HEADER:
            continue
        if config == CONFIG and (method, path) in OTHER and not _is_token(bad):
            continue  # nobody needs a token there, and this one is none
        media = FRAGMENT if method == "PATCH" else SDP if "/wh" in path else {"Content-Type": "application/json"}
        response = await door.call(path, verb=method, bearer=bad, headers=media, data=OFFER)
        assert response.status == 401, f"{name} on {method} {path}"
    assert door.rooms.requests == []
    assert door.door.streams.offers == []
    for secret in (SECRET, *(bad for bad in BAD.values() if _is_token(bad))):
        assert secret not in caplog.text


def _is_token(text: str) -> bool:
    try:
        jwt.get_unverified_header(text)
    except jwt.PyJWTError:
        return False
    return True


@pytest.mark.parametrize("seconds", [-LEEWAY + 5, 0, 600])
def test_times_have_a_leeway(verifier: TokenVerifier, seconds: int) -> None:
    now = claims()["nbf"]
    assert verifier.verify(sign(claims(exp=now + seconds, nbf=now - seconds, iat=now))).iss == KEY


def test_a_good_token_is_remembered_and_ends(verifier: TokenVerifier) -> None:
    now = 1_700_000_000.0
    timed = TokenVerifier({KEY: SECRET}, clock=lambda: now)
    good = sign({"iss": KEY, "exp": now + 10, "nbf": now})
    assert timed.verify(good) is timed.verify(good)
    now += 10 + LEEWAY
    with pytest.raises(TwirpError, match="expired"):
        timed.verify(good)
    now -= 10 + LEEWAY
    timed.reconfigure({KEY: "x" * 32})
    with pytest.raises(TwirpError, match="signature"):
        timed.verify(good)


def test_only_so_many_are_remembered(verifier: TokenVerifier) -> None:
    tokens = [token(sub=f"caller-{number}") for number in range(300)]
    remembered = [verifier.verify(each) for each in tokens]
    assert verifier.verify(tokens[-1]) is remembered[-1]
    assert verifier.verify(tokens[0]) is not remembered[0]
    assert verifier.verify(tokens[0]) == remembered[0]


def test_every_claim(verifier: TokenVerifier) -> None:
    """As LiveKit's own library writes them."""
    made = (
        api.AccessToken(KEY, SECRET)
        .with_identity(IDENTITY)
        .with_name("Alice")
        .with_metadata("m")
        .with_kind("agent")
        .with_attributes({"a": "b"})
        .with_ttl(dt.timedelta(minutes=5))
        .with_grants(
            api.VideoGrants(
                room_create=True,
                room_list=True,
                room_record=True,
                room_admin=True,
                room_join=True,
                room=ROOM,
                destination_room="there",
                can_publish=False,
                can_subscribe=False,
                can_publish_data=False,
                can_publish_sources=["camera"],
                can_update_own_metadata=True,
                ingress_admin=True,
                hidden=True,
                recorder=True,
                agent=True,
                can_subscribe_metrics=True,
            )
        )
        .with_sip_grants(api.SIPGrants(admin=True, call=True))
        .with_sha256("hash")
        .with_room_preset("preset")
        .with_room_config(api.RoomConfiguration(name="x", max_participants=3))
        .to_jwt()
    )
    found = verifier.verify(made)
    assert (found.iss, found.identity, found.name, found.metadata) == (KEY, IDENTITY, "Alice", "m")
    assert (found.kind, found.attributes, found.sha256, found.room_preset) == ("agent", {"a": "b"}, "hash", "preset")
    assert found.room_config == {"name": "x", "maxParticipants": 3}
    assert found.sip is not None
    assert (found.sip.admin, found.sip.call) == (True, True)
    video = found.of_room
    assert video.destination_room == "there"
    told = {name for name in video.__struct_fields__ if getattr(video, name) is not None}
    assert told == {*video.__struct_fields__} - {"can_manage_agent_session"}
    assert participant_of(found) == Participant(
        room=ROOM,
        identity=IDENTITY,
        name="Alice",
        metadata="m",
        attributes={"a": "b"},
        kind="agent",
        permission=Permission(
            can_publish=False,
            can_subscribe=False,
            can_publish_data=False,
            can_publish_sources=frozenset({"camera"}),
            can_update_metadata=True,
            hidden=True,
            recorder=True,
            agent=True,
        ),
        issued_at=found.nbf,
        can_create_room=True,
        room_config=found.room_config,
    )


def test_what_a_token_does_not_say(verifier: TokenVerifier) -> None:
    """Null is not said; jti stands in for sub; what is not known is ignored; `aud` is not for us."""
    said = verifier.verify(
        sign(
            {
                **claims(sub=None, jti="bob", video={"roomJoin": True, "room": ROOM, "canPublish": None, "new": 1}),
                "kind": "robot",
                "name": None,
                "aud": "somebody",
                "unknown": [],
            }
        )
    )
    participant = participant_of(said)
    assert (participant.identity, participant.name, participant.kind) == ("bob", "", "standard")
    assert participant.permission == Permission()


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        ({}, True),
        ({"canPublish": False}, False),
        ({"canPublish": False, "canPublishData": True}, True),
        ({"canPublishData": False}, False),
    ],
)
def test_data_may_be_published_as_media_unless_it_is_said(
    verifier: TokenVerifier, grants: dict[str, Any], may: bool
) -> None:
    assert verifier.participant(joining(**grants)).permission.can_publish_data is may


@pytest.mark.parametrize(
    "video",
    [
        {},
        {"roomJoin": False, "room": ROOM},
        {"room": ROOM},
        {"roomJoin": True},
        {"roomJoin": True, "room": ""},
        {"roomJoin": True, "room": "a@b"},
    ],
)
def test_tokens_that_join_no_room(verifier: TokenVerifier, video: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        verifier.participant(token(video=video))
    with pytest.raises(Forbidden):
        verifier.participant(token(sub=None))


REQUIRED = {
    "room_create": "roomCreate",
    "room_list": "roomList",
    "room_record": "roomRecord",
    "ingress_admin": "ingressAdmin",
}


@pytest.mark.parametrize("needed", REQUIRED)
def test_each_grant_is_needed(verifier: TokenVerifier, needed: str) -> None:
    wanted: Any = {needed: True}
    Call(grants=verifier.verify(token(video={REQUIRED[needed]: True}))).require(**wanted)
    without = {name: True for name in ALL_GRANTS if name not in {REQUIRED[needed], "room"}}
    for grants in (verifier.verify(token(video=without)), verifier.verify(token(video=None)), None):
        with pytest.raises(TwirpError, match="unauthenticated: permissions denied"):
            Call(grants=grants).require(**wanted)


@pytest.mark.parametrize("needed", ["admin", "call"])
def test_each_grant_of_sip_is_needed(verifier: TokenVerifier, needed: str) -> None:
    wanted: Any = {f"sip_{needed}": True}
    Call(grants=verifier.verify(token(sip={needed: True}))).require(**wanted)
    for sip in (None, {}, {needed: False}, {"admin": needed != "admin", "call": needed != "call"}):
        with pytest.raises(TwirpError):
            Call(grants=verifier.verify(token(sip=sip))).require(**wanted)


@pytest.mark.parametrize(
    ("video", "room", "allowed"),
    [
        ({"roomAdmin": True, "room": "a"}, "a", True),
        ({"roomAdmin": True, "room": "a"}, "b", False),
        ({"roomAdmin": True, "room": "a"}, "A", False),
        ({"roomAdmin": True, "room": "a"}, "", False),
        ({"roomAdmin": True}, "", True),
        ({"roomAdmin": True}, "a", False),
        ({"room": "a"}, "a", False),
        ({"roomAdmin": False, "room": "a"}, "a", False),
        (None, "a", False),
        (None, "", False),
    ],
)
def test_the_admin_of_a_room(verifier: TokenVerifier, video: Any, room: str, allowed: bool) -> None:
    call = Call(grants=verifier.verify(token(video=video)))
    if allowed:
        call.require_room_admin(room)
    else:
        with pytest.raises(TwirpError, match="permissions denied"):
            call.require_room_admin(room)


def test_the_destination_of_a_participant(verifier: TokenVerifier) -> None:
    call = Call(grants=verifier.verify(token(video={"destinationRoom": "there"})))
    call.require_destination("there")
    for grants in (call.grants, None):
        with pytest.raises(TwirpError):
            Call(grants=grants).require_destination("elsewhere")


async def test_the_token_may_be_in_the_query(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    path = "/twirp/livekit.RoomService/ListRooms?access_token="
    assert (await door.call(path + token(), bearer=None, data="{}")).status == 200
    assert (await door.call(path + "x", bearer=None, data="{}")).status == 401
    assert (await door.call(path, bearer=None, data="{}")).status == 401
    assert (await door.call(path + "x", data="{}")).status == 200, "the header comes first"
    assert (await door.call(path + token(), bearer="x", data="{}")).status == 401, "also a bad one"


async def test_no_token_at_all_reaches_the_service(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    response = await door.call("ListRooms", bearer=None, data="{}")
    assert response.status == 401
    assert await response.text() == '{"code":"unauthenticated","msg":"permissions denied"}'


async def test_any_key_will_do(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit()
    other = sign(claims(iss="other"), secret="another-secret-" * 3)
    assert (await door.call("ListRooms", bearer=other, data="{}")).status == 200


async def test_keys_change_while_it_runs(open_livekit: OpenLiveKit) -> None:
    from live777py.config import parse

    door = await open_livekit()
    assert (await door.call("ListRooms", data="{}")).status == 200
    await door.livekit.reconfigure(parse(f'[livekit.keys]\nnew = "{SECRET}"', {}))
    assert (await door.call("ListRooms", data="{}")).status == 401
    assert (await door.call("ListRooms", bearer=token(iss="new"), data="{}")).status == 200


async def test_the_key_of_trying_out(open_livekit: OpenLiveKit) -> None:
    door = await open_livekit("[livekit]\ndev = true\n")
    made = create_token("devkey", "secret", video=VideoGrants(room_list=True))
    assert (await door.call("ListRooms", bearer=made, data="{}")).status == 200


def test_a_token_that_we_make_is_good() -> None:
    made = create_token(
        KEY, SECRET, identity=IDENTITY, video=VideoGrants(room_join=True, room=ROOM), ttl=60, name="Alice"
    )
    theirs = api.TokenVerifier(KEY, SECRET).verify(made)
    assert (theirs.identity, theirs.name) == (IDENTITY, "Alice")
    assert theirs.video is not None
    assert (theirs.video.room_join, theirs.video.room) == (True, ROOM)


@given(
    st.text(max_size=60)
    | st.tuples(*3 * [st.binary(max_size=40)]).map(lambda parts: b".".join(parts).decode("latin-1"))
)
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(TwirpError):
        TokenVerifier({KEY: SECRET}).verify(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([field.encode_name for field in msgspec.structs.fields(Grants)]) | st.text(max_size=8), _JSON
    )
)
def test_any_claims_are_understood_or_refused(payload: dict[str, Any]) -> None:
    verifier = TokenVerifier({KEY: SECRET})
    with contextlib.suppress(TwirpError, Forbidden):
        assert isinstance(participant_of(verifier.verify(sign({**payload, "iss": KEY}))), Participant)


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("CreateRoom", "create_room"),
        ("CreateSIPInboundTrunk", "create_sip_inbound_trunk"),
        ("ListSIPTrunk", "list_sip_trunk"),
        ("PerformRpc", "perform_rpc"),
    ],
)
def test_names_of_methods(name: str, snake: str) -> None:
    assert snake_case(name) == snake
