"""The pages of recordings as people use them: find, play, follow one that grows, save, delete, record."""

from __future__ import annotations

import contextlib
import io
import time
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import av
import pytest
from aiohttp import web
from playwright.async_api import expect

from tests.gateway import free_port, running_gateway
from tests.interop.recordings import SEGMENT_SECONDS, SIZE, Recording, RecordingServer, make_recording
from tests.interop.test_pages import open_page, publish, row
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Locator, Page

WITHIN_MS = 20_000
TOKEN = "let me in"
SECONDS = 8
NOVEMBER = datetime(2026, 11, 20, 9, 30).timestamp()  # noqa: DTZ001 (as the calendar of the page: local time)
OCTOBER = datetime(2026, 10, 5, 18, 0).timestamp()  # noqa: DTZ001


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("media") / "h264"
    make_recording(directory, seconds=SECONDS)
    return directory


@contextlib.asynccontextmanager
async def serving(server: RecordingServer) -> AsyncIterator[str]:
    """The URL, without a slash at its end.

    Not by aiohttp's TestServer: it cancels the handler when a page that is left drops a request, and a `FileResponse`
    that is cancelled while it opens its file never closes it.
    """
    runner = web.AppRunner(server.app(), shutdown_timeout=0.5)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def assert_plays(player: Locator) -> None:
    """The picture has its size and time goes on, in the element and in decoded frames."""
    await expect(player).to_have_attribute("data-state", "playing", timeout=WITHIN_MS)
    moved = await player.evaluate(
        """(player) => new Promise((done) => {
            const { video } = player;
            const [at, frames] = [video.currentTime, video.getVideoPlaybackQuality().totalVideoFrames];
            video.addEventListener("timeupdate", function look() {
                if (video.currentTime < at + 0.5) return;
                video.removeEventListener("timeupdate", look);
                done([video.videoWidth, video.videoHeight, video.getVideoPlaybackQuality().totalVideoFrames - frames]);
            });
        })"""
    )
    assert moved[:2] == list(SIZE)
    assert moved[2] > 2


async def sign_in(page: Page) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    await dialog.get_by_label("Token").fill(TOKEN)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog).to_be_hidden()


def card(page: Page, stream: str) -> Locator:
    return page.locator("recording-card").filter(has=page.get_by_role("heading", name=stream, exact=True))


async def test_recordings_are_found_by_stream_and_day(media: Path, chromium: Browser) -> None:
    server = RecordingServer(
        [
            Recording("stage", NOVEMBER, media),
            Recording("stage", OCTOBER, media),
            Recording("lobby", NOVEMBER + 60, media, status="Failed", reason="disk full"),
        ]
    )
    async with serving(server) as url:
        page, errors = await open_page(chromium, f"{url}/?view=recordings")
        await page.wait_for_url("**/recordings.html")
        cards = page.locator("recording-card")
        await expect(cards).to_have_count(3, timeout=WITHIN_MS)
        await expect(cards.nth(0)).to_contain_text("disk full")
        await expect(cards.nth(0)).to_contain_text("H264 + Opus")
        await expect(page.get_by_role("heading", name="November 2026", exact=True)).to_be_visible()
        await expect(page.locator("[data-day='2026-11-20']")).to_have_attribute(
            "aria-label", "November 20, 2 recordings"
        )

        await page.get_by_role("combobox", name="Stream").select_option("stage")
        await expect(cards).to_have_count(2)
        assert page.url.endswith("?stream=stage")
        await page.get_by_role("button", name="Month before").click()
        await page.get_by_role("button", name="October 5, 1 recording").click()
        await expect(cards).to_have_count(1)
        await expect(page.get_by_role("button", name="October 6, no recording")).to_be_disabled()
        await page.get_by_role("button", name="Show all days").click()
        await expect(cards).to_have_count(2)
        await page.reload()
        await expect(cards).to_have_count(2, timeout=WITHIN_MS)
        assert errors == []


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
async def test_a_recording_plays_and_seeks(
    tmp_path: Path, media: Path, chromium: Browser, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token, which goes with every request; none goes to another host, and the policy of the page holds."""
    monkeypatch.setenv("no_proxy", "*")
    directory = media
    if codec != "libx264":
        directory = tmp_path / "media"
        make_recording(directory, seconds=SECONDS, codec=codec)
    server = RecordingServer([Recording("a b/ü%", NOVEMBER, directory)], token=TOKEN)
    server.recordings[0].stream = "a b ü%"
    async with serving(server) as url:
        page, errors = await open_page(chromium, f"{url}/recordings.html")
        hosts: set[str] = set()
        page.on("request", lambda request: hosts.add(request.url[: len(url)]))
        await sign_in(page)
        await expect(card(page, "a b ü%").locator("img")).to_be_visible(timeout=WITHIN_MS)
        errors.clear()  # the 401 that asked for the token
        await page.get_by_role("button", name="Play", exact=True).click()
        player = page.locator("dash-player")
        await assert_plays(player)
        position = player.get_by_role("slider", name="Position")
        await expect(position).to_have_attribute("aria-valuetext", f"0:0{SECONDS - 2} of 0:08", timeout=WITHIN_MS)
        await position.focus()
        await page.keyboard.press("Home")
        await page.wait_for_function("(player) => player.video.currentTime < 2", arg=await player.element_handle())
        await page.keyboard.press("k")
        await expect(player).to_have_attribute("data-state", "paused")
        await page.keyboard.press("ArrowRight")
        await page.wait_for_function("(player) => player.video.currentTime >= 5", arg=await player.element_handle())
        await page.keyboard.press("k")
        await expect(player).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
        assert hosts <= {url, f"blob:{url}"[: len(url)]}
        assert errors == []


async def test_a_growing_recording_is_followed_sought_and_ends(media: Path, chromium: Browser) -> None:
    growing = Recording("cam", time.time() - 2 * SEGMENT_SECONDS, media, segments=0)
    server = RecordingServer([growing], token=TOKEN)
    async with serving(server) as url:
        mpd = quote(f"{growing.path}/manifest.mpd", safe="")
        page, errors = await open_page(chromium, f"{url}/tools/dash.html?mpd={mpd}&token={quote(TOKEN)}&autoplay&muted")
        player = page.locator("dash-player")
        await expect(player).to_have_attribute("data-state", "waiting", timeout=WITHIN_MS)
        growing.segments = 2
        await assert_plays(player)
        await expect(player.get_by_role("button", name="To the live edge")).to_be_visible()
        handle = await player.element_handle()
        growing.segments = 3
        await page.wait_for_function(
            "(player) => player.video.currentTime > 4", arg=handle, timeout=WITHIN_MS
        )  # what was not there when it began
        await page.keyboard.press("Home")
        await page.wait_for_function("(player) => player.video.currentTime < 2", arg=handle)
        await assert_plays(player)
        growing.segments = None
        await expect(player).to_have_attribute("data-state", "ended", timeout=WITHIN_MS)
        assert await player.evaluate("(player) => player.video.currentTime") > SECONDS - 1
        assert errors == []


@pytest.mark.parametrize("picker", [True, False], ids=["into a file", "by a blob"])
async def test_a_download_is_the_whole_file(media: Path, chromium: Browser, *, picker: bool) -> None:
    """The dialog of the browser cannot be driven: a file of the origin's own stands for the one that is chosen."""
    chosen = """async ({ suggestedName }) => {
        const root = await navigator.storage.getDirectory();
        return root.getFileHandle(suggestedName, { create: true });
    }"""
    server = RecordingServer([Recording("cam", NOVEMBER, media)], token=TOKEN)
    async with serving(server) as url:
        page, _ = await open_page(chromium, f"{url}/recordings.html")
        await page.evaluate(f"() => {{ window.showSaveFilePicker = {chosen if picker else 'undefined'}; }}")
        await sign_in(page)
        button = page.get_by_role("button", name="MP4")
        name = f"cam-{int(NOVEMBER)}.mp4"
        if picker:
            await button.click()

            async def saved() -> list[int] | None:
                found: list[int] = await page.evaluate(
                    """async (name) => {
                        const root = await navigator.storage.getDirectory();
                        const handle = await root.getFileHandle(name, { create: true });
                        return Array.from(new Uint8Array(await (await handle.getFile()).arrayBuffer()));
                    }""",
                    name,
                )
                return found or None

            data = bytes(await eventually(saved))
        else:
            async with page.expect_download() as downloading:
                await button.click()
            download = await downloading.value
            assert download.suggested_filename == name
            data = (await download.path()).read_bytes()
        assert data == (media / "recording.mp4").read_bytes()
        with av.open(io.BytesIO(data), "r") as container:
            assert sum(1 for _ in container.decode(video=0)) == SECONDS * 15
        await expect(button).to_be_visible()


async def test_without_a_token_the_download_is_a_link(media: Path, chromium: Browser) -> None:
    server = RecordingServer([Recording("cam", NOVEMBER, media)])
    async with serving(server) as url:
        page, errors = await open_page(chromium, f"{url}/recordings.html")
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="MP4").click()
        assert (await (await downloading.value).path()).read_bytes() == (media / "recording.mp4").read_bytes()
        assert errors == []


async def test_a_recording_is_deleted_when_that_is_confirmed(media: Path, chromium: Browser) -> None:
    server = RecordingServer([Recording("cam", NOVEMBER, media), Recording("stage", NOVEMBER, media)])
    async with serving(server) as url:
        page, errors = await open_page(chromium, f"{url}/recordings.html")
        await card(page, "cam").get_by_role("button", name="Delete").click()
        assert not any(line.startswith("DELETE") for line in server.asked)
        await card(page, "cam").get_by_role("button", name="Delete for ever").click()
        await expect(page.locator("recording-card")).to_have_count(1)
        assert [recording.stream for recording in server.recordings] == ["stage"]
        server.recordings.clear()
        await card(page, "stage").get_by_role("button", name="Delete").click()
        await card(page, "stage").get_by_role("button", name="Delete for ever").click()
        await expect(card(page, "stage").get_by_role("alert")).to_be_visible()
        assert [line for line in errors if "404" not in line] == []


async def test_a_stream_is_recorded_from_the_dashboard(media: Path, chromium: Browser) -> None:
    server = RecordingServer([Recording("old", OCTOBER, media)], live={"cam"})
    async with serving(server) as url:
        page, _ = await open_page(chromium, url)
        await page.get_by_role("button", name="Record cam").click()
        await expect(row(page, "cam").get_by_text("recording", exact=True)).to_be_visible(timeout=WITHIN_MS)
        await page.get_by_role("link", name="Recordings").click()
        await expect(card(page, "cam").get_by_text("Recording", exact=True)).to_be_visible(timeout=WITHIN_MS)
        await expect(card(page, "cam").get_by_role("button", name="Delete")).to_have_count(0)
        await page.get_by_role("link", name="Streams").last.click()
        await page.get_by_role("button", name="Stop recording cam").click()
        await expect(page.get_by_role("button", name="Record cam")).to_be_visible(timeout=WITHIN_MS)
        assert server.recordings[-1].segments is None


async def test_a_row_stays_open_while_the_list_is_empty(media: Path, chromium: Browser) -> None:
    """As between the start of a gateway and the return of the publisher."""
    server = RecordingServer([Recording("old", OCTOBER, media)], live={"cam", "other"})
    async with serving(server) as url:
        page, _ = await open_page(chromium, url)
        await page.get_by_role("button", name="Details of cam").click()
        await expect(page.locator("stream-panel")).to_be_visible()
        server.live.clear()
        await expect(page.get_by_text("Nothing is live yet")).to_be_visible(timeout=WITHIN_MS)
        server.live.update({"cam", "other"})
        await expect(page.locator("stream-panel")).to_be_visible(timeout=WITHIN_MS)
        await expect(page.get_by_role("button", name="Details of other")).to_have_attribute("aria-expanded", "false")


async def test_only_a_page_that_plays_loads_the_player(media: Path, chromium: Browser) -> None:
    server = RecordingServer([Recording("cam", NOVEMBER, media)], live={"cam"})
    async with serving(server) as url:
        page, _ = await open_page(chromium, url)
        await expect(page.get_by_role("button", name="Record cam")).to_be_visible(timeout=WITHIN_MS)
        await page.get_by_role("link", name="Recordings").click()
        await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible(timeout=WITHIN_MS)
        assert not [line for line in server.asked if "dash.all" in line]
        await page.get_by_role("button", name="Play", exact=True).click()
        await assert_plays(page.locator("dash-player"))
        assert [line for line in server.asked if "dash.all" in line]


async def test_the_gateway_itself_records_and_its_recording_plays(tmp_path: Path, chromium: Browser) -> None:
    """Nothing in between: published, recorded, watched while it is recorded, ended and deleted from the pages."""
    config = f"""\
[store]
path = "{tmp_path}/live777.db"
[recorder]
index_path = "{tmp_path}/index.json"
[recorder.storage]
root = "{tmp_path}/storage"
"""
    async with running_gateway(tmp_path, config=config) as gateway:
        page, _ = await open_page(chromium, gateway.url)
        await page.get_by_label("Size").select_option("640x360")
        await publish(page, "cam")
        await page.get_by_role("button", name="Record cam").click()
        await expect(row(page, "cam").get_by_text("recording", exact=True)).to_be_visible(timeout=WITHIN_MS)
        viewer, errors = await open_page(chromium, f"{gateway.url}/recordings.html")
        await card(viewer, "cam").get_by_role("button", name="Play", exact=True).click()
        player = viewer.locator("dash-player")
        await expect(player).to_have_attribute("data-state", "playing", timeout=3 * WITHIN_MS)
        await expect(player.get_by_role("button", name="To the live edge")).to_be_visible()
        assert await player.evaluate("(player) => player.video.videoWidth") == 640
        await card(viewer, "cam").get_by_role("button", name="Stop recording").click()
        await expect(player).to_have_attribute("data-state", "ended", timeout=3 * WITHIN_MS)
        await card(viewer, "cam").get_by_role("button", name="Delete").click()
        await card(viewer, "cam").get_by_role("button", name="Delete for ever").click()
        await expect(viewer.get_by_text("Nothing is recorded yet")).to_be_visible(timeout=WITHIN_MS)
        assert [line for line in errors if "404" not in line] == []
