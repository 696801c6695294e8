import { expect, test } from "vitest";
import { iceServers, parseLinks } from "../src/lib/link";

test("several links, quoted and bare parameters, commas and escapes inside quotes", () => {
  const header = '<a>; rel=next, <b,c;d>;rel="x y"; title="one, \\"two\\"; three";flag , <e>';
  expect(parseLinks(header).map(({ target, params }) => [target, Object.fromEntries(params)])).toEqual([
    ["a", { rel: "next" }],
    ["b,c;d", { rel: "x y", title: 'one, "two"; three', flag: "" }],
    ["e", {}],
  ]);
});

test("ice-servers of RFC 9725 section 4.6", () => {
  const header =
    '<stun:stun.example.net>; rel="ice-server", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="my,Password"; credential-type="password", ' +
    "<turns:turn.example.net>; Rel=ice-server; username=u; credential=p";
  expect(iceServers(header)).toEqual([
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "user", credential: "my,Password" },
    { urls: "turns:turn.example.net", username: "u", credential: "p" },
  ]);
});

test("other relations, other schemes and rubbish are skipped", () => {
  const extension = '</session/a/b/layer>; rel="urn:ietf:params:whep:ext:core:layer"';
  expect(iceServers(`${extension}, <https://example.net>; rel="ice-server"`)).toEqual([]);
  for (const rubbish of [null, "", ",,;", "<", "<>;;=", "rel=ice-server"]) expect(iceServers(rubbish)).toEqual([]);
});
