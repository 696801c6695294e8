/** The little SDP that a browser leaves to us: trickle fragments (RFC 8840), ICE restarts and stereo Opus. */

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

/** The answer with the credentials and candidates that the server has since an ICE restart (RFC 9725 section 4.3.3). */
export function restartedAnswer(answer: string, fragment: string): string {
  const line = (name: string) => new RegExp(`^a=${name}:\\S+`, "m").exec(fragment)?.[0];
  const candidates = Array.from(fragment.matchAll(/^a=(?:candidate:[^\r\n]+|end-of-candidates)/gm), ([text]) => text);
  let first = true;
  const restarted = answer.split(/\r?\n/).flatMap((text) => {
    if (/^a=(candidate:|end-of-candidates)/.test(text)) return [];
    if (/^a=ice-ufrag:/.test(text)) return [line("ice-ufrag") ?? text];
    if (!/^a=ice-pwd:/.test(text)) return [text];
    // The candidates of a bundle are those of its first section.
    const own = first ? candidates : [];
    first = false;
    return [line("ice-pwd") ?? text, ...own];
  });
  return restarted.join("\r\n");
}

/** Whether two descriptions have the same ICE credentials. */
export function sameGeneration(one: string, other: string): boolean {
  const ufrag = (text: string) => /^a=ice-ufrag:(\S+)/m.exec(text)?.[1];
  return ufrag(one) === ufrag(other);
}

/** The codecs of a description, as people write them. */
export function codecNames(description: string): string[] {
  const names = Array.from(description.matchAll(/^a=rtpmap:\d+ ([\w-]+)\//gm), ([, name = ""]) => name);
  return [...new Set(names)].filter((name) => !/^(rtx|red|ulpfec|flexfec)/i.test(name));
}

/** Asks for stereo in every Opus format of an offer; browsers decode and encode mono unless told (RFC 7587 section 6.1). */
export function withStereo(offer: string): string {
  const opus = Array.from(offer.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2/gim), ([, type]) => type);
  return offer.replace(/^a=fmtp:(\d+) ([^\r\n]*)/gm, (line, type: string, parameters: string) =>
    opus.includes(type) && !/(^|;)\s*stereo=/.test(parameters) ? `${line};stereo=1;sprop-stereo=1` : line,
  );
}
