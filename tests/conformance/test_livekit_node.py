"""LiveKit's SDK for Node, which speaks JSON: one run of it, and what each of its calls gave."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live777py.config import parse
from live777py.livekit.tokens import TokenVerifier
from tests.conformance.livekit_server import KEY, KEYS, SECRET

if TYPE_CHECKING:
    from tests.conformance.livekit_server import LiveKitServer

PROGRAM = Path(__file__).with_name("livekit_node.mjs")
SDK = Path(__file__).parents[2] / "web/node_modules/livekit-server-sdk/dist/index.js"


async def run(url: str) -> dict[str, Any]:
    node = shutil.which("node")
    assert node, "Node is not installed"
    process = await asyncio.create_subprocess_exec(
        *(node, PROGRAM, SDK, url, KEY, SECRET), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0
    results: dict[str, Any] = json.loads(output)
    return results


@pytest.mark.livekit_case(27)
async def test_every_call(livekit: LiveKitServer) -> None:
    await livekit.join("show", "alice")
    _, video = await livekit.publisher("show", "alice")
    results = await run(livekit.url)

    def value(name: str) -> Any:
        assert "value" in results[name], (name, results[name])
        return results[name]["value"]

    def error(name: str) -> tuple[int, str, str]:
        assert "error" in results[name], (name, results[name])
        said = results[name]["error"]
        return said["status"], said.get("code", ""), said["message"]

    room = value("create")
    assert (room["name"], room["metadata"], room["emptyTimeout"]) == ("stage", "Bühne", 77)
    assert (room["departureTimeout"], room["maxParticipants"]) == (11, 5)
    assert room["sid"].startswith("RM_")
    assert (value("again")["sid"], value("again")["metadata"]) == (room["sid"], "Bühne")
    assert [each["sid"] for each in value("list")] == [room["sid"]]
    assert value("metadata")["metadata"] == "changed"
    assert error("no room") == (404, "not_found", "requested room does not exist")
    assert error("delete again") == (404, "not_found", "requested room does not exist")
    assert value("delete") is None
    assert value("nobody") == []

    (alice,) = value("participants")
    assert (alice["identity"], alice["state"], len(alice["tracks"])) == ("alice", "ACTIVE", 2)
    assert value("get")["sid"] == alice["sid"]
    assert error("get nobody") == (404, "not_found", "participant does not exist")
    assert (value("update")["name"], value("update")["attributes"]) == ("Alice", {"seat": "12"})
    assert (value("mute")["sid"], value("mute")["muted"]) == (video.sid, True)
    assert error("unmute") == (412, "failed_precondition", "remote unmute not enabled")
    for done in ("subscriptions", "send", "forward", "move"):
        value(done)
    assert error("same room")[:2] == (400, "invalid_argument")
    assert error("remove again")[:2] == (404, "not_found")
    value("remove")

    assert value("dispatch")["id"].startswith("AD_")
    assert [each["id"] for each in value("dispatches")] == [value("dispatch")["id"]]
    value("undispatch")
    for service in ("egress", "ingress", "sip"):
        assert error(service)[:2] == (501, "unimplemented")
    for name in ("wrong secret", "unknown key"):
        assert error(name)[:2] == (401, "unauthenticated")
    grants = TokenVerifier(parse(KEYS, {}).livekit.api_keys).verify(value("token"))
    assert (grants.identity, grants.name) == ("nina", "Nina")
