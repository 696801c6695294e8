// Viewers of one page: one who has been there for long, and others who join and leave.
(() => {
  const shown = { reference: new Map(), newcomer: new Map() };

  async function gathered(connection) {
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) =>
        connection.addEventListener("icegatheringstatechange", resolve, { once: true }),
      );
    }
  }

  // Resolves with the connection and the milliseconds from the POST to the first picture.
  async function play(url, pictures) {
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
    const first = new Promise((resolve) => {
      const watch = (now, { rtpTimestamp, presentationTime }) => {
        resolve(performance.now());
        pictures.set(rtpTimestamp, presentationTime);
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
    return { connection, element, session, posted, first: (await first) - posted };
  }

  async function video(connection) {
    const stats = [...(await connection.getStats()).values()];
    return stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  }

  // The median delay of the newcomer's last pictures against the same pictures of the reference.
  function behind(since) {
    const late = [];
    for (const [timestamp, at] of shown.newcomer) {
      const before = shown.reference.get(timestamp);
      if (at > since && before !== undefined) late.push(at - before);
    }
    late.sort((one, other) => one - other);
    return late.length ? late[late.length >> 1] : null;
  }

  async function join({ url, ms }) {
    shown.newcomer.clear();
    const viewer = await play(url, shown.newcomer);
    await new Promise((resolve) => setTimeout(resolve, ms));
    const { freezeCount, totalFreezesDuration } = await video(viewer.connection);
    const result = {
      first: viewer.first,
      freezes: freezeCount,
      frozen: totalFreezesDuration * 1000,
      behind: behind(performance.now() - 1000),
    };
    await fetch(viewer.session, { method: "DELETE" });
    viewer.connection.close();
    viewer.element.remove();
    return result;
  }

  window.instant = { reference: async (url) => (await play(url, shown.reference)).first, join };
})();
