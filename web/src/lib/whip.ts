/** WHIP: publishes one `MediaStream` to a gateway. */

import { Client, type ClientOptions } from "./client";

export interface WhipOptions extends ClientOptions {
  stream: MediaStream;
  /** Name of the video codec as in `video/<codec>`; any case, empty for the browser's choice. */
  codec?: string;
  /** Upper bound of the video in kbit/s; 0 for the browser's choice. */
  bitrate?: number;
  fps?: number;
  /** Name of the audio codec as in `audio/<codec>`; empty for the browser's choice. */
  audioCodec?: string;
  /** 2 or 3: simulcast of so many sizes; else a WebRTC-SVC scalability mode such as L1T3; empty: one encoding. */
  layers?: string;
}

/** Names of the encodings, the smallest picture first; the names are Live777's (full, half, quarter). */
const RIDS = ["q", "h", "f"];

/** The encodings that `layers` asks for, each with half the width of the next and about a third of its bitrate. */
export function encodings(layers: string, bitrate: number, fps: number): RTCRtpEncodingParameters[] {
  const count = ["2", "3"].includes(layers) ? Number(layers) : 1;
  const mode = count > 1 ? "L1T1" : layers;
  return RIDS.slice(-count).map((rid, index) => {
    const smaller = count - 1 - index;
    return {
      ...(count > 1 && { rid, scaleResolutionDownBy: 2 ** smaller }),
      ...(bitrate > 0 && { maxBitrate: Math.max(100_000, Math.round((bitrate * 1000) / 3 ** smaller)) }),
      ...(fps > 0 && { maxFramerate: fps }),
      // VP9 and AV1 would make layers inside one encoding instead of simulcast.
      ...(mode && { scalabilityMode: mode }),
    };
  });
}

const NAMES = { video: ["VP8", "VP9", "H264", "AV1", "H265"], audio: ["opus", "G722", "PCMU", "PCMA"] };

/** The codecs that this browser can send, of those a gateway forwards. */
export function sendCodecs(kind: "audio" | "video"): string[] {
  const codecs = RTCRtpSender.getCapabilities(kind)?.codecs ?? [];
  return NAMES[kind].filter((name) =>
    codecs.some(({ mimeType }) => mimeType.toLowerCase() === `${kind}/${name.toLowerCase()}`),
  );
}

export class WhipClient extends Client {
  constructor(protected override readonly options: WhipOptions) {
    super(options);
  }

  protected override prepare(peer: RTCPeerConnection): void {
    const { stream, codec = "", audioCodec = "", layers = "", bitrate = 0, fps = 0 } = this.options;
    for (const track of [...stream.getAudioTracks(), ...stream.getVideoTracks()]) {
      const video = track.kind === "video";
      const transceiver = peer.addTransceiver(track, {
        direction: "sendonly",
        streams: [stream],
        sendEncodings: video ? encodings(layers, bitrate, fps) : [{}],
      });
      const name = video ? codec : audioCodec;
      if (name) transceiver.setCodecPreferences(preferred(track.kind, name));
    }
  }
}

/** One codec with its repair formats; an unknown name leaves the browser's own order. */
function preferred(kind: string, codec: string): RTCRtpCodec[] {
  const all = RTCRtpSender.getCapabilities(kind)?.codecs ?? [];
  const wanted = all.filter(({ mimeType }) => mimeType.toLowerCase() === `${kind}/${codec.toLowerCase()}`);
  return wanted.length === 0 ? [] : [...wanted, ...all.filter(({ mimeType }) => /\/rtx$/i.test(mimeType))];
}
