/** The little SDP that a browser leaves to us: trickle fragments (RFC 8840) and stereo Opus. */

export interface Candidate {
  candidate: string;
  sdpMid: string | null;
}

/** Builds the body of a trickle PATCH (RFC 8840 section 4.4, RFC 9725 section 4.3.2) from the first bundled m-section. */
export function trickleFragment(offer: string, candidates: readonly Candidate[], end: boolean): string {
  const line = (pattern: RegExp) => pattern.exec(offer)?.[1] ?? "";
  const lines = [
    `a=ice-ufrag:${line(/^a=ice-ufrag:(\S+)/m)}`,
    `a=ice-pwd:${line(/^a=ice-pwd:(\S+)/m)}`,
    `m=${line(/^m=(\w+)/m)} 9 UDP/TLS/RTP/SAVPF 0`,
    `a=mid:${line(/^a=mid:(\S+)/m)}`,
    ...candidates.map(({ candidate }) => `a=${candidate.replace(/^a=/, "")}`),
    ...(end ? ["a=end-of-candidates"] : []),
  ];
  return lines.join("\r\n") + "\r\n";
}

/** Asks for stereo in every Opus format of an offer; browsers decode and encode mono unless told (RFC 7587 section 6.1). */
export function withStereo(offer: string): string {
  const opus = Array.from(offer.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2/gim), ([, type]) => type);
  return offer.replace(/^a=fmtp:(\d+) ([^\r\n]*)/gm, (line, type: string, parameters: string) =>
    opus.includes(type) && !/(^|;)\s*stereo=/.test(parameters) ? `${line};stereo=1;sprop-stereo=1` : line,
  );
}
