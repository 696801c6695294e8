"""The page of rooms as people use it, against a gateway with API keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from livekit import api
from playwright.async_api import expect

from tests.conformance.livekit_server import KEY, KEYS, SECRET, livekit_server
from tests.fakes.remote import offer
from tests.gateway import running_gateway
from tests.interop.test_pages import open_page
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.conformance.livekit_server import LiveKitServer

WITHIN_MS = 20_000
ROOM = '<img src=x onerror="document.title=1"> & söns'


@pytest.fixture
async def livekit(tmp_path: Path) -> AsyncIterator[LiveKitServer]:
    config = f'{KEYS}[store]\npath = "{tmp_path}/store.db"\n'
    async with running_gateway(tmp_path, config=config) as gateway, livekit_server(gateway.url) as server:
        yield server


async def sign_in(page: Page, key: str, secret: str) -> None:
    dialog = page.get_by_role("dialog", name="API key")
    await expect(dialog).to_be_visible(timeout=WITHIN_MS)
    await dialog.get_by_label("Key", exact=True).fill(key)
    await dialog.get_by_label("Secret").fill(secret)
    await dialog.get_by_role("button", name="Continue").click()


async def open_rooms(chromium: Browser, livekit: LiveKitServer, room: str = "") -> tuple[Page, list[str]]:
    page, errors = await open_page(chromium, f"{livekit.url}/rooms.html")
    await sign_in(page, KEY, SECRET)
    if room:
        await page.get_by_role("navigation", name="Rooms").get_by_role("button", name=room).click()
        await expect(page.get_by_role("heading", name=room, exact=True)).to_be_visible(timeout=WITHIN_MS)
    return page, errors


async def test_a_key_is_asked_for(livekit: LiveKitServer, chromium: Browser) -> None:
    home, _ = await open_page(chromium, livekit.url)
    await home.get_by_role("link", name="Rooms").click()
    await sign_in(home, KEY, "wrong")
    dialog = home.get_by_role("dialog", name="API key")
    await expect(dialog).to_contain_text("refused the key", timeout=WITHIN_MS)
    await sign_in(home, KEY, SECRET)
    await expect(home.get_by_text("No room is open")).to_be_visible(timeout=WITHIN_MS)
    await home.reload()
    await expect(home.get_by_text("No room is open")).to_be_visible(timeout=WITHIN_MS)
    await home.get_by_role("button", name="Sign out").click()
    await expect(dialog).to_be_visible(timeout=WITHIN_MS)


async def test_a_gateway_without_keys_says_so(tmp_path: Path, chromium: Browser) -> None:
    async with running_gateway(tmp_path) as gateway:
        home, _ = await open_page(chromium, gateway.url)
        await expect(home.get_by_text("Nothing is live yet")).to_be_visible(timeout=WITHIN_MS)
        await expect(home.get_by_role("link", name="Rooms")).to_have_count(0)
        await home.goto(f"{gateway.url}/rooms.html")
        await sign_in(home, KEY, SECRET)
        await expect(home.get_by_role("alert")).to_contain_text("no LiveKit API", timeout=WITHIN_MS)


async def test_rooms_are_made_changed_and_deleted(livekit: LiveKitServer, chromium: Browser) -> None:
    page, errors = await open_rooms(chromium, livekit)
    await page.get_by_role("button", name="New room").click()
    dialog = page.get_by_role("dialog", name="New room")
    await dialog.get_by_label("Name").fill(ROOM)
    await dialog.get_by_label("Participants at most").fill("7")
    await dialog.get_by_label("Metadata").fill("about it")
    await dialog.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name=ROOM, exact=True)).to_be_visible(timeout=WITHIN_MS)
    about = page.get_by_role("region", name="Room", exact=True)
    await expect(about).to_contain_text("at most 7 participants")
    await about.get_by_role("button", name="Metadata").click()
    dialog = page.get_by_role("dialog", name="Metadata of the room")
    await expect(dialog.get_by_label("Metadata, any text")).to_have_value("about it")
    await dialog.get_by_label("Metadata, any text").fill("changed")
    await dialog.get_by_role("button", name="Save").click()
    await expect(about).to_contain_text("changed", timeout=WITHIN_MS)
    (room,) = (await livekit.api.room.list_rooms(api.ListRoomsRequest())).rooms
    assert (room.name, room.metadata, room.max_participants) == (ROOM, "changed", 7)
    await about.get_by_role("button", name="Delete room").click()
    await about.get_by_role("button", name="End it for everybody").click()
    await expect(page.get_by_text("No room is open")).to_be_visible(timeout=WITHIN_MS)
    assert await page.locator("gateway-rooms img[src='x']").count() == 0
    assert (await page.title()).startswith("Rooms")
    assert errors == []


async def test_participants_are_muted_changed_and_removed(livekit: LiveKitServer, chromium: Browser) -> None:
    publisher = await livekit.join("show", "alice", attributes={"seat": "12"})
    viewer = await livekit.play("alice@show", identity="bob", room="show")
    await livekit.publisher("show", "alice")
    await livekit.participant("show", "bob")
    page, _ = await open_rooms(chromium, livekit, "show")
    alice, bob = (page.get_by_role("group", name=name, exact=True) for name in ("alice", "bob"))
    await expect(bob).to_be_visible(timeout=WITHIN_MS)
    await expect(alice).to_contain_text("seat=12")
    await alice.get_by_role("button", name="Mute Camera").click()
    await expect(alice.get_by_text("muted", exact=True)).to_have_count(1, timeout=WITHIN_MS)
    assert [track.muted for track in await livekit.publisher("show", "alice")] == [False, True]
    await alice.get_by_role("button", name="Unmute Camera").click()
    await expect(page.get_by_role("alert")).to_contain_text("Remote unmute not enabled", timeout=WITHIN_MS)

    await alice.get_by_role("button", name="Edit alice").click()
    dialog = page.get_by_role("dialog", name="Participant")
    await dialog.get_by_label("Name").fill("Alice")
    await dialog.get_by_label("Attributes").fill("role=host")
    await dialog.get_by_label("May publish").uncheck()
    await dialog.get_by_role("button", name="Save").click()
    await expect(alice).to_contain_text("may not publish", timeout=WITHIN_MS)
    changed = await livekit.participant("show", "alice")
    assert (changed.name, dict(changed.attributes)) == ("Alice", {"role": "host"})
    assert (changed.permission.can_publish, changed.permission.can_subscribe) == (False, True)

    await bob.get_by_role("button", name="Remove").click()
    await bob.get_by_role("button", name="Remove now").click()
    await eventually(viewer.ended)
    await expect(bob).to_have_count(0, timeout=WITHIN_MS)
    publisher.peer.close()


async def test_data_reach_a_player(livekit: LiveKitServer, chromium: Browser) -> None:
    publisher, _ = await open_page(chromium, f"{livekit.url}/tools/debugger.html?id=show&vcodec=vp8")
    await publisher.get_by_role("button", name="Start publishing").click()
    await publisher.get_by_role("button", name="Play", exact=True).first.click()
    await expect(publisher.locator("whep-player")).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    page, _ = await open_rooms(chromium, livekit, "show")
    await page.get_by_role("button", name="Send data").click()
    dialog = page.get_by_role("dialog", name="Send data")
    await dialog.get_by_role("combobox", name="To").select_option(index=2)
    await dialog.get_by_label("Text").fill("grüß Gott")
    await dialog.get_by_role("button", name="Send", exact=True).click()
    await expect(dialog).to_be_hidden(timeout=WITHIN_MS)
    # Data of the API are bytes.
    heard = publisher.get_by_role("region", name="Play", exact=True).get_by_role("log")
    await expect(heard).to_contain_text("bytes: 67 72 c3 bc c3 9f", timeout=WITHIN_MS)


async def test_a_token_is_made(livekit: LiveKitServer, chromium: Browser) -> None:
    page, _ = await open_rooms(chromium, livekit)
    await page.get_by_role("button", name="Token").click()
    dialog = page.get_by_role("dialog", name="Access token")
    await dialog.get_by_role("textbox", name="Room").fill("show")
    await dialog.get_by_label("Identity").fill("söns")
    await dialog.get_by_label("Valid for").select_option("10 minutes")
    await dialog.get_by_role("button", name="Make token").click()
    made = dialog.get_by_role("status", name="The token")
    await expect(made).to_contain_text(f"{livekit.url}/whip/v1")
    token = (await made.locator("pre").text_content() or "").strip()
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    await livekit.connect("/whip/v1", offer("opus", "vp8"), token)
    await livekit.publisher("show", "söns")
    await expect(page.get_by_role("navigation", name="Rooms")).to_contain_text("show", timeout=WITHIN_MS)
    await dialog.get_by_label("Identity").fill("another")
    await expect(made).to_be_hidden()
