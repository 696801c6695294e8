"""`auth.http_url`: what the service is asked, what its answers mean, and that silence is a refusal."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from live777py.http.auth import hook
from live777py.http.keys import AUTHENTICATOR, CONFIG
from tests.http.doors import AUTH, FRAGMENT, STATIC_TOKEN, Door, OpenDoor, bearer, scoped
from tests.http.routes import Needs, at, guarded
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.http.authority import Authority

ACTIONS = {
    ("POST", "/whip/{stream}"): "publish",
    ("POST", "/whep/{stream}"): "play",
    ("GET", "/api/streams/{stream}"): "read",
}
"""Of all others: read by GET without a stream of one's own, admin by any other method, and of any session."""


def config_for(authority: Authority, more: str = "") -> str:
    return f'[auth]\nhttp_url = "{authority.url}"\nhttp_timeout_ms = 300\n{more}'


def action_of(method: str, path: str, needs: Needs) -> str:
    if needs.session:
        return "admin"
    return ACTIONS.get((method, path)) or ("read" if method == "GET" else "admin")


@pytest.mark.parametrize(("method", "path", "needs"), guarded())
async def test_what_it_is_asked(
    open_door: OpenDoor, authority: Authority, method: str, path: str, needs: Needs
) -> None:
    door = await open_door(config_for(authority))
    headers = {**needs.headers, **bearer("of-a-guest"), "User-Agent": "probe/1", "X-Forwarded-For": "192.0.2.7"}
    response = await door.ask(method, at(path), data=needs.body, headers=headers)
    assert response.status not in {401, 403}
    action = action_of(method, path, needs)
    assert authority.asked == [
        {
            "action": action,
            "stream": "cam" if "{stream}" in path or "{path...}" in path else None,
            "token": "of-a-guest",
            "address": "192.0.2.7",
            "userAgent": "probe/1",
            "protocol": {"publish": "whip", "play": "whep"}.get(action, "api"),
        }
    ]


ANSWERS = [
    # its status, ours with a token, ours without
    (200, 201, 201),
    (204, 201, 201),
    (299, 201, 201),
    (401, 401, 401),
    (403, 403, 403),
    (302, 403, 401),
    (404, 403, 401),
    (429, 403, 401),
    (500, 403, 401),
]


@pytest.mark.parametrize(("theirs", "with_token", "without"), ANSWERS)
async def test_what_its_answer_means(
    open_door: OpenDoor, authority: Authority, theirs: int, with_token: int, without: int
) -> None:
    authority.status, authority.headers = theirs, {"Location": authority.url + "elsewhere"}
    door = await open_door(config_for(authority))
    for headers, ours in ((bearer("guest"), with_token), ({}, without)):
        response = await door.play("cam", **headers)
        assert response.status == ours
        assert ("WWW-Authenticate" in response.headers) is (ours == 401)
    assert [question["token"] for question in authority.asked] == ["guest", ""]


async def test_silence_is_a_refusal(
    open_door: OpenDoor, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    authority.answers.clear()
    door = await open_door(config_for(authority))
    response = await door.publish("cam", **bearer("guest"))
    assert response.status == 403
    assert (await response.json())["detail"] == "the authorisation service did not answer"
    assert "did not answer: TimeoutError" in caplog.text
    assert door.streams.streams() == []


async def test_nobody_there_is_a_refusal(open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    door = await open_door('[auth]\nhttp_url = "http://user:hunter2@127.0.0.1:1/?key=hunter3"\n')
    assert (await door.publish("cam", **bearer("guest-token"))).status == 403
    assert (await door.publish("cam")).status == 401
    assert "did not answer: ClientConnectorError" in caplog.text
    for secret in ("hunter", "guest-token"):
        assert secret not in caplog.text


async def test_it_is_not_asked_about_tokens_that_are_known(open_door: OpenDoor, authority: Authority) -> None:
    """A JWT that is valid and allows something else is refused, whatever the service would say."""
    door = await open_door(AUTH + config_for(authority).removeprefix("[auth]\n"))
    assert (await door.publish("cam", **bearer(STATIC_TOKEN))).status == 201
    assert (await door.play("cam", **scoped("cam", 4))).status == 201
    assert (await door.play("cam", **scoped("other", 4))).status == 403
    assert authority.asked == []
    assert (await door.play("cam", **scoped("cam", 4, secret="else"))).status == 201
    assert len(authority.asked) == 1


async def test_a_guest_has_its_own_session_and_no_other(open_door: OpenDoor, authority: Authority) -> None:
    door = await open_door(config_for(authority))
    mine = (await door.play("cam", **bearer("me"))).headers["Location"]
    yours = (await door.play("cam", **bearer("you"))).headers["Location"]
    authority.status = 403
    authority.asked.clear()
    assert await _patch(door, mine, "me") == 204
    assert authority.asked == []
    refused = [
        await door.ask("DELETE", path, headers=bearer("me")) for path in (yours, "/session/cam/unknown", mine + "0")
    ]
    assert [response.status for response in refused] == [403, 403, 403]
    assert len({await response.read() for response in refused}) == 1
    assert {question["action"] for question in authority.asked} == {"admin"}
    assert (await door.ask("DELETE", mine, headers=bearer("me"))).status == 204
    authority.status = 200
    assert (await door.ask("DELETE", yours, headers=bearer("an-admin"))).status == 204


async def _patch(door: Door, path: str, token: str) -> int:
    return (await door.ask("PATCH", path, data="a=mid:0", headers={**FRAGMENT, **bearer(token)})).status


async def test_it_is_asked_a_bounded_number_of_questions_at_a_time(
    open_door: OpenDoor, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "MAX_CONCURRENT", 2)
    door = await open_door(config_for(authority).replace("300", "10000"))
    authority.answers.clear()
    asking = [asyncio.create_task(door.play("cam", **bearer(f"guest-{number}"))) for number in range(6)]
    await eventually(lambda: _asked(authority, 2))
    authority.answers.set()
    assert [(await response).status for response in asking] == [201] * 6
    assert authority.most_at_once == 2


async def _asked(authority: Authority, number: int) -> bool:
    return len(authority.asked) == number


async def test_other_settings_from_the_next_request_on(open_door: OpenDoor, authority: Authority) -> None:
    door = await open_door(AUTH)
    location = (await door.play("cam", **scoped("cam", 4, sub="me"))).headers["Location"]
    authenticator, auth = door.app[AUTHENTICATOR], door.app[CONFIG].current.auth
    await authenticator.reconfigure(type(auth)(secret=auth.secret, http_url=authority.url))
    assert (await door.play("cam", **bearer(STATIC_TOKEN))).status == 201
    assert authority.asked[0]["token"] == STATIC_TOKEN
    assert await _patch(door, location, "nobody") == 204
    assert (await door.ask("DELETE", location, headers=scoped("cam", 4, sub="me"))).status == 204
    await authenticator.reconfigure(type(auth)())
    assert (await door.ask("GET", "/api/streams/")).status == 200


@pytest.mark.parametrize("token", ["naïve-token", "tab\ttoken"])
async def test_a_token_of_any_text_is_passed_on(open_door: OpenDoor, authority: Authority, token: str) -> None:
    door = await open_door(config_for(authority))
    assert (await door.play("cam", **bearer(token))).status == 201
    assert authority.asked[0]["token"] == token
