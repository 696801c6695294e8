// Viewers of one stream: one who stays, and others who join and leave. Times are milliseconds since the epoch, so that
// two pages can be compared.
(() => {
  let stays;

  async function gathered(connection) {
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) =>
        connection.addEventListener("icegatheringstatechange", resolve, { once: true }),
      );
    }
  }

  // Resolves when the first picture is shown. `pictures` grows: [RTP timestamp, when it was shown].
  async function play(url) {
    const connection = new RTCPeerConnection();
    ["audio", "video"].forEach((kind) => connection.addTransceiver(kind, { direction: "recvonly" }));
    const element = document.createElement("video");
    Object.assign(element, { autoplay: true, playsInline: true, muted: true });
    document.body.append(element);
    const stream = new MediaStream();
    connection.ontrack = ({ track }) => {
      stream.addTrack(track);
      element.srcObject = stream;
    };
    const pictures = [];
    const first = new Promise((resolve) => {
      const watch = (now, { rtpTimestamp, presentationTime }) => {
        resolve(performance.now());
        pictures.push([rtpTimestamp ?? null, performance.timeOrigin + presentationTime]);
        element.requestVideoFrameCallback(watch);
      };
      element.requestVideoFrameCallback(watch);
    });
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    const posted = performance.now();
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: connection.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    const session = new URL(response.headers.get("Location"), url).href;
    return { connection, element, session, pictures, first: (await first) - posted };
  }

  async function inbound(connection) {
    const stats = [...(await connection.getStats()).values()];
    return stats.filter(({ type }) => type === "inbound-rtp");
  }

  // What has come so far, headers of RTP included.
  async function received() {
    const bytes = (await inbound(stays.connection)).map(
      (row) => row.bytesReceived + (row.headerBytesReceived ?? 12 * row.packetsReceived),
    );
    return { bytes: bytes.reduce((sum, one) => sum + one, 0), at: Date.now() };
  }

  async function keyFrames() {
    return (await inbound(stays.connection)).find(({ kind }) => kind === "video").keyFramesDecoded;
  }

  async function join({ url, ms }) {
    const viewer = await play(url);
    await new Promise((resolve) => setTimeout(resolve, ms));
    const video = (await inbound(viewer.connection)).find(({ kind }) => kind === "video");
    const result = {
      first: viewer.first,
      pictures: viewer.pictures,
      frozen: (video.totalFreezesDuration ?? 0) * 1000,
      freezes: video.freezeCount ?? null,
    };
    await fetch(viewer.session, { method: "DELETE" });
    viewer.connection.close();
    viewer.element.remove();
    return result;
  }

  window.instant = {
    stay: async (url) => {
      stays = await play(url);
    },
    seen: (since) => stays.pictures.filter(([, at]) => at >= since),
    received,
    keyFrames,
    join,
  };
})();
