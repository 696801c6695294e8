/** WHEP: plays one stream of a gateway. */

import { Client, GONE, type ClientOptions } from "./client";
import type { GatewayError } from "./errors";

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
      const { receiver } = peer.addTransceiver(kind, { direction: "recvonly" });
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
