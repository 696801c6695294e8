import { TokenVerifier } from "livekit-server-sdk";
import { afterEach, expect, test, vi } from "vitest";
import { accessToken, claimsFor } from "../src/lib/access-token";
import { changes, readAttributes } from "../src/lib/attributes";
import { GatewayError } from "../src/lib/errors";
import { isClosed, Rooms } from "../src/lib/rooms";

const KEY = { key: "APIkey", secret: "ein Geheimnis mit Umlauten: äöü, lang genug" };
const verifier = new TokenVerifier(KEY.key, KEY.secret);

afterEach(() => vi.unstubAllGlobals());

/** What is answered to each request, and the requests. */
function answering(...answers: Response[]): Request[] {
  const requests: Request[] = [];
  vi.stubGlobal("location", new URL("http://gateway/rooms.html"));
  vi.stubGlobal("fetch", (url: URL, init: RequestInit) => {
    requests.push(new Request(url, init));
    return Promise.resolve(answers.shift());
  });
  return requests;
}

const rooms = () => new Rooms(new URL("http://gateway/"), KEY);
const twirp = (status: number, code: string, msg: string) =>
  new Response(JSON.stringify({ code, msg }), { status, headers: { "Content-Type": "application/json" } });

test("LiveKit's verifier accepts a token and finds its claims", async () => {
  const video = { roomJoin: true, room: "Bühne", canPublish: false };
  const token = accessToken(KEY, { identity: "Jürgen", name: "J", video }, 60);
  expect(await verifier.verify(token)).toMatchObject({ iss: KEY.key, sub: "Jürgen", name: "J", video });
});

test("a token ends, and another secret is another signature", async () => {
  const old = accessToken(KEY, { video: {} }, 60, Date.now() - 3_600_000);
  await expect(verifier.verify(old)).rejects.toThrow(/exp/);
  const forged = accessToken({ ...KEY, secret: "no" }, { video: {} }, 60);
  await expect(verifier.verify(forged)).rejects.toThrow(/signature/);
});

test("a token without an identity has no subject", async () => {
  expect(await verifier.verify(accessToken(KEY, { video: { roomList: true } }, 60))).not.toHaveProperty("sub");
});

test.each([
  ["publish", { roomJoin: true, room: "r" }],
  ["watch", { roomJoin: true, room: "r", canPublish: false, canPublishData: false }],
  ["admin", { roomAdmin: true, room: "r" }],
])("what a token allows: %s", (purpose, video) => {
  expect(claimsFor(purpose, "r", "me")).toEqual({ identity: "me", video });
});

test("each call brings a token for that call alone", async () => {
  const requests = answering(Response.json({ rooms: [{ name: "b10" }, { name: "b9" }] }), Response.json({}));
  expect((await rooms().list()).map(({ name }) => name)).toEqual(["b9", "b10"]);
  await rooms().mute("b9", "me", "TR_1", true);
  const [list, mute] = requests as [Request, Request];
  expect(list.url).toBe("http://gateway/twirp/livekit.RoomService/ListRooms");
  expect(await list.json()).toEqual({});
  expect(await mute.json()).toEqual({ room: "b9", identity: "me", track_sid: "TR_1", muted: true });
  const grants = async ({ headers }: Request) =>
    (await verifier.verify((headers.get("Authorization") ?? "").replace("Bearer ", ""))).video;
  expect(await grants(list)).toEqual({ roomList: true });
  expect(await grants(mute)).toEqual({ roomAdmin: true, room: "b9" });
});

test("data go as base64, to everybody or to some", async () => {
  const requests = answering(Response.json({}), Response.json({}));
  await rooms().send("r", { text: "grüß Gott", topic: "", lossy: false, identities: [] });
  await rooms().send("r", { text: "x", topic: "chat", lossy: true, identities: ["me"] });
  const [all, one] = await Promise.all(requests.map((each) => each.json()));
  expect(all).toEqual({ room: "r", data: "Z3LDvMOfIEdvdHQ=", kind: "RELIABLE", destination_identities: [] });
  expect(one).toMatchObject({ kind: "LOSSY", topic: "chat", destination_identities: ["me"] });
});

test("who publishes comes first", async () => {
  const listed = [
    { identity: "a", tracks: [] },
    { identity: "z", tracks: [{ sid: "TR_1" }] },
    { identity: "b", tracks: [] },
  ];
  answering(Response.json({ participants: listed }));
  expect((await rooms().participants("r")).map(({ identity }) => identity)).toEqual(["z", "a", "b"]);
});

test("a refusal is in Twirp's words", async () => {
  answering(twirp(412, "failed_precondition", "remote unmute not enabled"), twirp(404, "not_found", "no such room"));
  const unmute = await rooms()
    .mute("r", "me", "TR_1", false)
    .catch((error: unknown) => error);
  expect(unmute).toMatchObject({ status: 412, code: "failed_precondition", message: "Remote unmute not enabled." });
  const missing = await rooms()
    .remove("r")
    .catch((error: unknown) => error);
  expect(isClosed(missing)).toBe(false);
});

test("a gateway without API keys has no such service", () => {
  expect(isClosed(new GatewayError("404 page not found", 404))).toBe(true);
  expect(isClosed(new GatewayError("The gateway is busy.", 503))).toBe(false);
});

test("attributes are lines, and one that is gone is removed", () => {
  expect(readAttributes(" seat = 12 \n\nurl=http://x/?a=b")).toEqual({ seat: "12", url: "http://x/?a=b" });
  expect(() => readAttributes("seat")).toThrow("“seat” is not key=value.");
  expect(changes({ seat: "12", old: "1" }, { seat: "13" })).toEqual({ seat: "13", old: "" });
});
