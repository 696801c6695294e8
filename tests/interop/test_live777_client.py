"""Live777's own JavaScript client, `@binbat/whip-whep` from npm, in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.checks import assert_sees_the_picture, wait_until
from tests.interop.conftest import with_client

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

    from tests.gateway import Gateway

PACKAGE = Path(__file__).parents[2] / "web" / "node_modules" / "@binbat" / "whip-whep"

PUBLISH = """async ({ url }) => {
    const whip = (window.whip = new WHIPClient());
    const connection = new RTCPeerConnection();
    const stream = t.picture({ width: 960, height: 540 });
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    connection.addTransceiver(microphone.getAudioTracks()[0], { direction: "sendonly" });
    connection.addTransceiver(stream.getVideoTracks()[0], {
        direction: "sendonly",
        sendEncodings: [
            { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150000 },
            { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 400000 },
            { rid: "f", maxBitrate: 1200000 },
        ],
    });
    await whip.publish(connection, url);
    await t.connected(connection);
}"""

VIEW = """async ({ url }) => {
    const whep = (window.whep = new WHEPClient());
    await t.view((connection) => whep.view(connection, url));
    return { layers: String(whep.layerUrl), session: String(whep.resourceURL) };
}"""


async def with_live777_client(page: Page, gateway: Gateway) -> Page:
    await with_client(page, gateway)
    for name, symbol in (("whip.js", "WHIPClient"), ("whep.js", "WHEPClient")):
        source = (PACKAGE / name).read_text().replace(f"export class {symbol}", f"window.{symbol} = class")
        await page.evaluate(f"() => {{ {source} }}")
    return page


async def test_it_publishes_plays_mutes_and_selects_layers(gateway: Gateway, chromium: Browser) -> None:
    publisher = await with_live777_client(await chromium.new_page(), gateway)
    viewer = await with_live777_client(await chromium.new_page(), gateway)
    await publisher.evaluate(PUBLISH, {"url": f"{gateway.url}/whip/show"})
    links = await viewer.evaluate(VIEW, {"url": f"{gateway.url}/whep/show"})
    assert links["layers"] == links["session"] + "/layer"
    await assert_sees_the_picture(viewer)
    layers = links["layers"].removeprefix(gateway.url)
    await wait_until(
        viewer, f"fetch('{layers}').then((r) => r.json()).then((l) => l.length === 3 && l[2].width === 240)"
    )
    assert [layer["encodingId"] for layer in await gateway.get(layers)] == ["f", "h", "q"]

    for rid, width in (("q", 240), ("h", 480), ("f", 960)):
        await viewer.evaluate("(rid) => whep.selectLayer({ encodingId: rid })", rid)
        await wait_until(viewer, f"t.width() === {width}", within=10)
    await viewer.evaluate("() => whep.selectLayer({ encodingId: 'q' })")
    await wait_until(viewer, "t.width() === 240", within=10)
    await viewer.evaluate("() => whep.unselectLayer()")
    await wait_until(viewer, "t.width() === 960", within=10)

    for client in ("whep", "whip"):
        page = viewer if client == "whep" else publisher
        await page.evaluate(f"() => {client}.mute({{ kind: 'video', enabled: false }})")
        # Half a second without a picture, of a publisher that draws thirty a second.
        await wait_until(viewer, "t.quietFor(500)", within=10)
        await page.evaluate(f"() => {client}.mute({{ kind: 'video', enabled: true }})")
        await wait_until(viewer, "t.quietFor(500) === false && t.counters().length > 0", within=10)
        await viewer.evaluate("() => { t.counters().length = 0 }")
        await assert_sees_the_picture(viewer)

    await viewer.evaluate("() => whep.stop()")
    await wait_until(
        viewer,
        "fetch('/api/streams/show').then((r) => r.json()).then((s) => s.subscribe.sessions[0].state === 'closed')",
    )
    await publisher.evaluate("() => whip.stop()")
    await wait_until(publisher, "fetch('/api/streams/show').then((r) => r.status === 404)")
