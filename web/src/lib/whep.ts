/** WHEP: plays one stream of a gateway. */

import { Client, GONE, type ClientOptions } from "./client";
import type { GatewayError } from "./errors";

const DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/** Header Extensions Control of "WebRTC Extensions": Chromium has it, Firefox does not. */
interface ExtensionControl {
  getHeaderExtensionsToNegotiate(): { uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate(extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]): void;
}

export interface WhepOptions extends ClientOptions {
  /** Keeps the jitter buffer as small as the network allows. */
  lowLatency?: boolean;
  /** Called with the media of each attempt once its first packet came: a page with an empty video never finishes loading. */
  onStream?: (stream: MediaStream) => void;
}

export class WhepClient extends Client {
  constructor(protected override readonly options: WhepOptions) {
    super(options);
  }

  protected override prepare(peer: RTCPeerConnection): void {
    const stream = new MediaStream();
    for (const kind of ["audio", "video"]) {
      const transceiver = peer.addTransceiver(kind, { direction: "recvonly" });
      askForDescriptor(transceiver);
      const { receiver } = transceiver;
      if (this.options.lowLatency) receiver.jitterBufferTarget = 0;
      stream.addTrack(receiver.track);
      receiver.track.addEventListener("unmute", () => this.peer === peer && this.options.onStream?.(stream));
    }
  }

  /** A stream that does not exist yet, or not any more, may be published later. */
  protected override retryable(error: GatewayError): boolean {
    return error.status === 404 || error.status === GONE || super.retryable(error);
  }
}

/** Without the dependency descriptor a viewer of AV1 gets the smallest picture, whatever its network carries; Chromium does not offer it unasked. */
function askForDescriptor(transceiver: RTCRtpTransceiver & Partial<ExtensionControl>): void {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  const descriptor = extensions.find(({ uri }) => uri === DESCRIPTOR);
  if (!descriptor) return;
  descriptor.direction = "sendrecv";
  transceiver.setHeaderExtensionsToNegotiate?.(extensions);
}
