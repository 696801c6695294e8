// A viewer of a stream whose network changes: when each picture was shown, and how large it was. Times are milliseconds
// since the page began.
(() => {
  let viewer;

  async function gathered(connection) {
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) =>
        connection.addEventListener("icegatheringstatechange", resolve, { once: true }),
      );
    }
  }

  // Without it Chromium does not ask for the dependency descriptor.
  function askForDescriptor(transceiver) {
    const extensions = transceiver.getHeaderExtensionsToNegotiate();
    const wanted = extensions.find(({ uri }) => uri.includes("dependency-descriptor"));
    if (wanted) wanted.direction = "sendrecv";
    transceiver.setHeaderExtensionsToNegotiate(extensions);
  }

  // Returns the session's address when the first picture is shown.
  async function play({ url, descriptor }) {
    const connection = new RTCPeerConnection();
    ["audio", "video"].forEach((kind) => connection.addTransceiver(kind, { direction: "recvonly" }));
    if (descriptor) connection.getTransceivers().forEach(askForDescriptor);
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
      const watch = (now, { width }) => {
        resolve();
        pictures.push([performance.now(), width]);
        element.requestVideoFrameCallback(watch);
      };
      element.requestVideoFrameCallback(watch);
    });
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: connection.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    const answer = await response.text();
    await connection.setRemoteDescription({ type: "answer", sdp: answer });
    const session = new URL(response.headers.get("Location"), url).href;
    viewer = { connection, pictures, answer, session };
    await first;
    return session;
  }

  async function inbound() {
    const stats = [...(await viewer.connection.getStats()).values()];
    const rows = stats.filter(({ type }) => type === "inbound-rtp");
    return Object.fromEntries(rows.map((row) => [row.kind, { ...row }]));
  }

  window.follow = {
    play,
    inbound,
    answer: () => viewer.answer,
    pictures: () => viewer.pictures,
    now: () => performance.now(),
  };
})();
