/** WHIP: publishes one `MediaStream` to a gateway. */

import { Client, type ClientOptions } from "./client";

export interface WhipOptions extends ClientOptions {
  stream: MediaStream;
  /** Name of the video codec as in `video/<codec>`; any case, empty for the browser's choice. */
  codec?: string;
  /** Upper bound of the video in kbit/s; 0 for the browser's choice. */
  bitrate?: number;
  fps?: number;
}

/** The video codecs that this browser can send, of those a gateway forwards. */
export function sendCodecs(): string[] {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  return ["VP8", "VP9", "H264", "AV1", "H265"].filter((name) =>
    codecs.some(({ mimeType }) => mimeType.toLowerCase() === `video/${name.toLowerCase()}`),
  );
}

export class WhipClient extends Client {
  constructor(protected override readonly options: WhipOptions) {
    super(options);
  }

  protected override prepare(peer: RTCPeerConnection): void {
    const { stream, codec = "", bitrate = 0, fps = 0 } = this.options;
    for (const track of [...stream.getAudioTracks(), ...stream.getVideoTracks()]) {
      const encoding: RTCRtpEncodingParameters = {};
      if (track.kind === "video" && bitrate > 0) encoding.maxBitrate = bitrate * 1000;
      if (track.kind === "video" && fps > 0) encoding.maxFramerate = fps;
      const transceiver = peer.addTransceiver(track, {
        direction: "sendonly",
        streams: [stream],
        sendEncodings: [encoding],
      });
      if (track.kind === "video" && codec) transceiver.setCodecPreferences(preferred(codec));
    }
  }
}

/** One codec with its repair formats; an unknown name leaves the browser's own order. */
function preferred(codec: string): RTCRtpCodec[] {
  const all = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const wanted = all.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec.toLowerCase()}`);
  return wanted.length === 0 ? [] : [...wanted, ...all.filter(({ mimeType }) => /\/rtx$/i.test(mimeType))];
}
