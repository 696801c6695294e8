/** `Link` headers (RFC 8288) and the ice-servers that WHIP and WHEP answers carry in them (RFC 9725 section 4.6). */

export interface Link {
  target: string;
  params: Map<string, string>;
}

const LINK = /<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s";,]*))?)*)/g;
const PARAM = /;\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*)))?/g;

/** Reads one header value, which may hold several links; what is not a link is skipped. */
export function parseLinks(header: string | null): Link[] {
  return Array.from((header ?? "").matchAll(LINK), ([, target = "", tail = ""]) => {
    const params = new Map<string, string>();
    for (const [, name = "", quoted, bare] of tail.matchAll(PARAM)) {
      const key = name.toLowerCase();
      if (!params.has(key)) params.set(key, quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "");
    }
    return { target: target.trim(), params };
  });
}

/** The STUN and TURN servers of a `Link` header, ready for `RTCPeerConnection`. */
export function iceServers(header: string | null): RTCIceServer[] {
  return parseLinks(header)
    .filter(({ target, params }) => {
      return params.get("rel")?.split(/\s+/).includes("ice-server") && /^(stun|turn)s?:/i.test(target);
    })
    .map(({ target, params }) => {
      const username = params.get("username");
      const credential = params.get("credential");
      return { urls: target, ...(username && { username }), ...(credential && { credential }) };
    });
}
