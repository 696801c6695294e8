import { afterEach, expect, test, vi } from "vitest";
import { Session } from "../src/lib/session";

const description = (ufrag: string) =>
  `v=0\r\nm=video 9 X 96\r\na=ice-ufrag:${ufrag}\r\na=ice-pwd:p-${ufrag}\r\na=mid:0\r\n`;
const CANDIDATE = { candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host", sdpMid: "0", sdpMLineIndex: 0 };

/** What a session needs of a peer connection. */
class Peer extends EventTarget {
  applied: string[] = [];
  #offers = 0;

  async createOffer({ iceRestart = false } = {}): Promise<{ sdp: string }> {
    this.#offers += iceRestart ? 1 : 0;
    return { sdp: description(`c${this.#offers}`) };
  }

  async setLocalDescription({ sdp }: { sdp: string }): Promise<void> {
    this.applied.push(`local ${ufrag(sdp)}`);
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.applied.push(`remote ${ufrag(sdp)}`);
  }

  gather(candidate: typeof CANDIDATE | null): void {
    this.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate }));
  }
}

const ufrag = (sdp: string) => /a=ice-ufrag:(\S+)/.exec(sdp)?.[1];

/** Answers the requests one after the other; `asked` is what they were. */
function server(...responses: Response[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (_url: URL, { method, headers, body = "" }: RequestInit & { headers: Headers }) => {
    const tag = headers.get("If-Match");
    const end = String(body).includes("end-of-candidates") ? " end" : "";
    asked.push(`${method} ${ufrag(String(body))}${tag ? ` if ${tag}` : ""}${end}`);
    const response = responses.shift() ?? new Response(null, { status: 204 });
    Object.defineProperty(response, "url", { value: "http://gateway/whep/cam" });
    return response;
  });
  return asked;
}

const created = () =>
  new Response(description("s0"), { status: 201, headers: { Location: "/session/cam/1", ETag: '"e0"' } });

async function opened(peer: Peer): Promise<Session> {
  return Session.open(peer as unknown as RTCPeerConnection, "http://gateway/whep/cam", "");
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

afterEach(() => vi.unstubAllGlobals());

test("a restart takes what the server says, and candidates go on under the new tag", async () => {
  const restarted = new Response(description("s1"), { status: 200, headers: { ETag: '"e1"' } });
  const asked = server(created(), new Response(null, { status: 204 }), restarted);
  const peer = new Peer();
  const session = await opened(peer);
  peer.gather(null);
  await settled();
  await session.restart();
  peer.gather(CANDIDATE);
  peer.gather(null);
  await settled();
  expect(asked).toEqual([
    "POST c0",
    'PATCH c0 if "e0" end',
    "PATCH c1 if *",
    'PATCH c1 if "e1"',
    'PATCH c1 if "e1" end',
  ]);
  expect(peer.applied).toEqual(["local c0", "remote s0", "local c1", "remote s1"]);
});

test.each([
  new Response(null, { status: 204 }),
  new Response("", { status: 501 }),
  new Response(description("s0"), { status: 200 }),
])("nothing is applied where the server does not restart", async (response) => {
  server(created(), response);
  const peer = new Peer();
  const session = await opened(peer);
  await expect(session.restart()).rejects.toMatchObject({ status: 501 });
  expect(peer.applied).toEqual(["local c0", "remote s0"]);
});
