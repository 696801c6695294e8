// The test's own WHIP and WHEP clients, run inside a browser page by `evaluate`. The picture that `publish` draws tells
// who it is (four coloured quadrants) and when it is (a frame counter in black and white blocks), so that a viewer's
// picture can be checked and not only counted.
(() => {
  const BITS = 16;
  const QUADRANTS = ["#d02020", "#20a020", "#2020d0", "#d0d020"];
  const state = { publisher: null, viewer: null, counters: [] };
  const data = { publisher: talk(), viewer: talk() };

  function draw(context, width, height, count) {
    const [w, h] = [width / 2, height / 2];
    QUADRANTS.forEach((colour, index) => {
      context.fillStyle = colour;
      context.fillRect((index % 2) * w, Math.floor(index / 2) * h, w, h);
    });
    const block = Math.floor(width / BITS);
    for (let bit = 0; bit < BITS; bit++) {
      context.fillStyle = (count >> bit) & 1 ? "#fff" : "#000";
      context.fillRect(bit * block, Math.floor(height / 2 - block), block, 2 * block);
    }
  }

  function readCounter(data, width, height) {
    const block = Math.floor(width / BITS);
    let count = 0;
    for (let bit = 0; bit < BITS; bit++) {
      const x = bit * block + Math.floor(block / 2);
      const at = (Math.floor(height / 2) * width + x) * 4;
      if (data[at] + data[at + 1] + data[at + 2] > 384) count |= 1 << bit;
    }
    return count;
  }

  async function gathered(connection) {
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) =>
        connection.addEventListener("icegatheringstatechange", resolve, { once: true }),
      );
    }
  }

  async function negotiate(connection, url) {
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: connection.localDescription.sdp,
    });
    const text = await response.text();
    if (response.status !== 201) throw new Error(`${response.status} ${text}`);
    await connection.setRemoteDescription({ type: "answer", sdp: text });
    return new URL(response.headers.get("Location"), url).href;
  }

  // RFC 9725 section 4.3.3: resolves with the new ufrag when both descriptions are applied.
  async function restartIce(role) {
    const { connection, session } = state[role];
    connection.restartIce();
    const offer = await connection.createOffer();
    const line = (text, name) => new RegExp(`^a=${name}:\\S+`, "m").exec(text)[0];
    const response = await fetch(session, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"*"' },
      body: `${line(offer.sdp, "ice-ufrag")}\r\n${line(offer.sdp, "ice-pwd")}\r\n`,
    });
    const fragment = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${fragment}`);
    await connection.setLocalDescription(offer);
    const answer = connection.remoteDescription.sdp
      .replace(/^a=(candidate:|end-of-candidates).*\r\n/gm, "")
      .replace(/^a=ice-ufrag:\S+/gm, line(fragment, "ice-ufrag"))
      .replace(/^a=ice-pwd:\S+/gm, line(fragment, "ice-pwd"))
      .replace(/^a=mid:.*/m, (mid) => [mid, ...fragment.match(/^a=candidate:.*/gm)].join("\n"));
    await connection.setRemoteDescription({ type: "answer", sdp: answer });
    return line(offer.sdp, "ice-ufrag").slice("a=ice-ufrag:".length);
  }

  // A viewer that lets the server offer (draft-ietf-wish-whep-04 section 4.3).
  async function negotiateOffered(connection, url) {
    const response = await fetch(url, { method: "POST", headers: { Prefer: "counter-offer" } });
    const offer = await response.text();
    if (response.status !== 406) throw new Error(`${response.status} ${offer}`);
    await connection.setRemoteDescription({ type: "offer", sdp: offer });
    await connection.setLocalDescription(await connection.createAnswer());
    await gathered(connection);
    const session = new URL(response.headers.get("Location"), url).href;
    const answered = await fetch(session, {
      method: "PATCH",
      headers: { "Content-Type": "application/sdp", "If-Match": response.headers.get("ETag") },
      body: connection.localDescription.sdp,
    });
    if (answered.status !== 204) throw new Error(`${answered.status} ${await answered.text()}`);
    return session;
  }

  async function connected(connection) {
    while (connection.connectionState !== "connected") {
      if (["failed", "closed"].includes(connection.connectionState)) {
        throw new Error(`connection ${connection.connectionState}`);
      }
      await new Promise((resolve) =>
        connection.addEventListener("connectionstatechange", resolve, { once: true }),
      );
    }
  }

  function prefer(transceiver, kind, name, profile) {
    const { codecs } = RTCRtpSender.getCapabilities(kind);
    const wanted = codecs.filter(
      (codec) =>
        codec.mimeType.toLowerCase() === `${kind}/${name}`.toLowerCase() &&
        (!profile || (codec.sdpFmtpLine || "").includes(profile)),
    );
    if (wanted.length === 0) throw new Error(`this browser cannot send ${name}`);
    const helpers = codecs.filter((codec) => /rtx$/i.test(codec.mimeType));
    transceiver.setCodecPreferences([...wanted, ...helpers]);
  }

  // What costs an encoder all the bits that it may spend: specks that are elsewhere in each picture, away from what is read.
  function speckle(context, width, height, busy) {
    for (let number = 0; number < busy; number++) {
      context.fillStyle = `hsl(${Math.random() * 360} 60% 50%)`;
      const [x, y] = [Math.random() * width, height * (0.6 + 0.3 * Math.random())];
      context.fillRect(x, y, 12, 6);
    }
  }

  function picture({ width = 640, height = 360, fps = 30, busy }) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    let count = 0;
    draw(context, width, height, count);
    setInterval(() => {
      draw(context, width, height, ++count);
      if (busy) speckle(context, width, height, busy);
    }, 1000 / fps);
    return canvas.captureStream(fps);
  }

  async function keepSize(sender) {
    await sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-resolution" });
  }

  function talk() {
    return { channels: {}, heard: [] };
  }

  // `channels` are made before the offer: [{ label, ...options }]. Those that the other side opens are listened to.
  function converse(role, connection, channels = []) {
    data[role] = { connection, ...talk() };
    connection.ondatachannel = ({ channel }) => listen(role, channel);
    channels.forEach((options) => openChannel(role, options));
  }

  function openChannel(role, { label, ...options }) {
    listen(role, data[role].connection.createDataChannel(label, options));
  }

  function listen(role, channel) {
    channel.binaryType = "arraybuffer";
    data[role].channels[channel.label] = channel;
    channel.onmessage = ({ data: message }) =>
      data[role].heard.push([channel.label, typeof message === "string" ? message : [...new Uint8Array(message)]]);
  }

  // Until every channel is open: the gateway knows them then.
  async function opened(role) {
    for (const channel of Object.values(data[role].channels)) {
      if (channel.readyState === "connecting") {
        await new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
      }
    }
  }

  // `message` is text, or an array of bytes.
  async function say(role, label, message) {
    await opened(role);
    data[role].channels[label].send(typeof message === "string" ? message : new Uint8Array(message));
  }

  // `encodings`: of simulcast, as `addTransceiver` takes them; `busy` is how many specks a picture has, to take bits.
  async function publish({ url, video, profile, audio = true, width, height, fps, busy, bitrate, encodings, channels }) {
    const stream = picture({ width, height, fps, busy });
    if (audio) {
      // The browser's fake microphone: a tone, and no sound device is needed for it.
      const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
      stream.addTrack(microphone.getAudioTracks()[0]);
    }
    const connection = new RTCPeerConnection();
    for (const track of stream.getTracks()) {
      const init = { direction: "sendonly", streams: [stream] };
      if (track.kind === "video" && bitrate) init.sendEncodings = [{ maxBitrate: bitrate }];
      if (track.kind === "video" && encodings) init.sendEncodings = encodings;
      const transceiver = connection.addTransceiver(track, init);
      if (track.kind === "video" && video) prefer(transceiver, "video", video, profile);
      // Else a machine that is slow today would change the size.
      if (track.kind === "video" && busy) await keepSize(transceiver.sender);
    }
    converse("publisher", connection, channels);
    state.publisher = { connection };
    state.publisher.session = await negotiate(connection, url);
    await connected(connection);
    return state.publisher.session;
  }

  // `descriptor`: the dependency descriptor is asked for, which Chromium leaves out unless it sends several layers itself.
  async function play({ url, kinds, channels, descriptor }) {
    return view((connection) => {
      if (descriptor) connection.getTransceivers().forEach(askForDescriptor);
      return negotiate(connection, url);
    }, kinds, channels);
  }

  function askForDescriptor(transceiver) {
    const extensions = transceiver.getHeaderExtensionsToNegotiate();
    const wanted = extensions.find(({ uri }) => uri.includes("dependency-descriptor"));
    if (wanted) wanted.direction = "sendrecv";
    transceiver.setHeaderExtensionsToNegotiate(extensions);
  }

  async function playOffered({ url }) {
    return view((connection) => negotiateOffered(connection, url), []);
  }

  // `negotiated(connection)` is what makes the session; what it returns is returned.
  async function view(negotiated, kinds = ["audio", "video"], channels) {
    const connection = new RTCPeerConnection();
    converse("viewer", connection, channels);
    kinds.forEach((kind) => connection.addTransceiver(kind, { direction: "recvonly" }));
    const element = document.createElement("video");
    // Not muted: what nobody hears is not decoded, and has no energy to measure.
    Object.assign(element, { autoplay: true, playsInline: true });
    document.body.append(element);
    const stream = new MediaStream();
    connection.ontrack = ({ track }) => {
      stream.addTrack(track);
      element.srcObject = stream;
    };
    const canvas = document.createElement("canvas");
    state.counters = [];
    state.firstFrame = null;
    const begun = performance.now();
    const watch = () => {
      state.presented = performance.now();
      state.firstFrame ??= state.presented - begun;
      if (element.videoWidth > 0) {
        Object.assign(canvas, { width: element.videoWidth, height: element.videoHeight });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(element, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const count = readCounter(data, canvas.width, canvas.height);
        state.counters.push(count);
        if (state.frames) {
          state.frames.push({ at: state.presented, width: canvas.width, count, quadrants: quadrants() });
        }
      }
      element.requestVideoFrameCallback(watch);
    };
    element.requestVideoFrameCallback(watch);
    state.viewer = { connection, element, canvas };
    state.viewer.session = await negotiated(connection);
    await connected(connection);
    return state.viewer.session;
  }

  // The mean colour of each quadrant's outer corner, top left to bottom right: [[r, g, b], ...].
  function quadrants() {
    const { canvas } = state.viewer;
    const context = canvas.getContext("2d");
    const [w, h] = [canvas.width, canvas.height];
    const side = Math.floor(h / 8);
    return [[0, 0], [w - side, 0], [0, h - side], [w - side, h - side]].map(([x, y]) => {
      const { data } = context.getImageData(x, y, side, side);
      const sum = [0, 0, 0];
      for (let at = 0; at < data.length; at += 4) for (let c = 0; c < 3; c++) sum[c] += data[at + c];
      return sum.map((value) => Math.round(value / (side * side)));
    });
  }

  // A 32 x 18 grey thumbnail of an element's present picture, row by row, 0-255.
  function thumbnail(selector) {
    const element = selector ? find(selector) : state.viewer.element;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 32, height: 18 });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(element, 0, 0, 32, 18);
    const { data } = context.getImageData(0, 0, 32, 18);
    return Array.from({ length: 32 * 18 }, (_, i) =>
      Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]),
    );
  }

  function find(selector, root = document) {
    const hit = root.querySelector(selector);
    if (hit) return hit;
    for (const element of root.querySelectorAll("*")) {
      const inner = element.shadowRoot && find(selector, element.shadowRoot);
      if (inner) return inner;
    }
    return null;
  }

  async function report(connection) {
    const out = {};
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type === "inbound-rtp" || entry.type === "outbound-rtp") out[`${entry.type} ${entry.kind}`] = { ...entry };
      if (entry.type === "codec") (out.codecs ??= {})[entry.id] = entry.mimeType;
    }
    return out;
  }

  // The selected ICE candidate pair: its addresses, its protocol and the ufrag of our side.
  async function pair(role) {
    const stats = await state[role].connection.getStats();
    const entries = [...stats.values()];
    const transport = entries.find(({ type }) => type === "transport");
    // Firefox tells nothing of the transport.
    const chosen = transport ? stats.get(transport.selectedCandidatePairId) : entries.find(({ selected }) => selected);
    const { localCandidateId, remoteCandidateId } = chosen;
    const [local, remote] = [stats.get(localCandidateId), stats.get(remoteCandidateId)];
    const { address, protocol, usernameFragment: ufrag } = local;
    return { id: chosen.id, local: address, remote: remote.address, protocol, ufrag };
  }

  window.t = {
    picture,
    publish,
    play,
    view,
    connected,
    firstFrame: () => state.firstFrame, // milliseconds from the first step of `view`
    width: () => state.viewer.element.videoWidth,
    quietFor: (milliseconds) => performance.now() - state.presented > milliseconds,
    quadrants,
    thumbnail,
    find,
    openChannel,
    opened,
    say,
    heard: (role) => data[role].heard,
    counters: () => state.counters,
    inspect: () => (state.frames = []),
    frames: () => state.frames,
    viewerStats: () => report(state.viewer.connection),
    publisherStats: () => report(state.publisher.connection),
    restartIce,
    playOffered,
    pair,
    viewerPair: () => pair("viewer"),
    viewerState: () => state.viewer.connection.connectionState,
  };
})();
