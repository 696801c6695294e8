// LiveKit's SDK for Node against a gateway: what the calls of one scenario gave or how they failed, as one line of JSON.
// Arguments: the file of the SDK, the gateway's URL, API key and secret. A participant `alice` publishes in room `show`.

import { argv } from "node:process";
import { pathToFileURL } from "node:url";

const [, , sdk, url, key, secret] = argv;
const { AccessToken, AgentDispatchClient, EgressClient, IngressClient, RoomServiceClient, SipClient } = await import(
  pathToFileURL(sdk).href
);

const rooms = new RoomServiceClient(url, key, secret);
const results = {};

/** BigInt and bytes are no JSON. */
const plain = (value) =>
  JSON.parse(
    JSON.stringify(value ?? null, (_, each) =>
      typeof each === "bigint" ? Number(each) : each instanceof Uint8Array ? [...each] : each,
    ),
  );

async function attempt(name, call) {
  try {
    const value = await call();
    results[name] = { value: plain(value?.toJson ? value.toJson() : value) };
    return value;
  } catch (error) {
    const { status, code, message } = error;
    results[name] = { error: { kind: error.constructor.name, status, code, message } };
    return undefined;
  }
}

const list = (found) => found.map((each) => each.toJson());

await attempt("create", () =>
  rooms.createRoom({ name: "stage", metadata: "Bühne", emptyTimeout: 77, departureTimeout: 11, maxParticipants: 5 }),
);
await attempt("again", () => rooms.createRoom({ name: "stage", metadata: "other" }));
await attempt("list", async () => list(await rooms.listRooms(["stage", "missing"])));
await attempt("metadata", () => rooms.updateRoomMetadata("stage", "changed"));
await attempt("no room", () => rooms.updateRoomMetadata("missing", "changed"));
await attempt("delete", () => rooms.deleteRoom("stage"));
await attempt("delete again", () => rooms.deleteRoom("stage"));
await attempt("nobody", async () => list(await rooms.listParticipants("missing")));

await attempt("participants", async () => list(await rooms.listParticipants("show")));
const alice = await attempt("get", () => rooms.getParticipant("show", "alice"));
await attempt("get nobody", () => rooms.getParticipant("show", "nobody"));
await attempt("update", () =>
  rooms.updateParticipant("show", "alice", { name: "Alice", metadata: "m", attributes: { seat: "12" } }),
);
const video = alice?.tracks.find(({ type }) => type === 1)?.sid ?? "";
await attempt("mute", () => rooms.mutePublishedTrack("show", "alice", video, true));
await attempt("unmute", () => rooms.mutePublishedTrack("show", "alice", video, false));
await attempt("subscriptions", () => rooms.updateSubscriptions("show", "alice", [video], false));
await attempt("send", () =>
  rooms.sendData("show", new Uint8Array([0, 255, 7]), 0, { topic: "chat", destinationIdentities: ["alice"] }),
);
await attempt("forward", () => rooms.forwardParticipant("show", "alice", "annex"));
await attempt("move", () => rooms.moveParticipant("annex", "alice", "third"));
await attempt("same room", () => rooms.moveParticipant("show", "alice", "show"));
await attempt("remove", () => rooms.removeParticipant("show", "alice"));
await attempt("remove again", () => rooms.removeParticipant("show", "alice"));

const dispatches = new AgentDispatchClient(url, key, secret);
const dispatch = await attempt("dispatch", () => dispatches.createDispatch("show", "scribe", { metadata: "m" }));
await attempt("dispatches", async () => list(await dispatches.listDispatch("show")));
await attempt("undispatch", () => dispatches.deleteDispatch(dispatch?.id ?? "", "show"));

await attempt("egress", () => new EgressClient(url, key, secret).listEgress());
await attempt("ingress", () => new IngressClient(url, key, secret).listIngress());
await attempt("sip", () => new SipClient(url, key, secret).listSipInboundTrunk());
await attempt("deleted method", () => new SipClient(url, key, secret).createSipTrunk?.("1", {}));
await attempt("wrong secret", () => new RoomServiceClient(url, key, "another secret of 32 characters!").listRooms());
await attempt("unknown key", () => new RoomServiceClient(url, "unknown", secret).listRooms());

const token = new AccessToken(key, secret, { identity: "nina", name: "Nina", ttl: "10m" });
token.addGrant({ roomJoin: true, room: "show", canPublishSources: [2] });
await attempt("token", () => token.toJwt());

console.log(JSON.stringify(results));
