import { expect, test } from "vitest";
import { codecNames, restartedAnswer, sameGeneration, trickleFragment, withStereo } from "../src/lib/sdp";

const OFFER = [
  "v=0",
  "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
  "a=ice-ufrag:u1",
  "a=ice-pwd:p1",
  "a=mid:0",
  "a=rtpmap:96 VP8/90000",
  "a=fmtp:97 apt=96",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
  "a=ice-ufrag:u2",
  "a=mid:1",
  "a=rtpmap:111 opus/48000/2",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:63 red/48000/2",
  "a=fmtp:63 111/111",
  "",
].join("\r\n");

test("a trickle fragment names the first m-section and ends with the candidates (RFC 8840 section 4.4)", () => {
  const candidate = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";
  expect(trickleFragment(OFFER, [{ candidate, sdpMid: "0" }], true).split("\r\n")).toEqual([
    "a=ice-ufrag:u1",
    "a=ice-pwd:p1",
    "m=video 9 UDP/TLS/RTP/SAVPF 0",
    "a=mid:0",
    `a=${candidate}`,
    "a=end-of-candidates",
    "",
  ]);
  expect(trickleFragment(OFFER, [], false)).not.toContain("end-of-candidates");
});

test("only Opus gets stereo, and once", () => {
  const stereo = withStereo(OFFER);
  expect(stereo).toContain("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n");
  expect(stereo).toContain("a=fmtp:63 111/111\r\n");
  expect(withStereo(stereo)).toBe(stereo);
});

test("an answer gets the credentials and candidates of a restart", () => {
  const answer = [
    "v=0",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=ice-ufrag:old",
    "a=ice-pwd:oldpassword",
    "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
    "a=end-of-candidates",
    "a=mid:0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=ice-ufrag:old",
    "a=ice-pwd:oldpassword",
    "a=mid:1",
    "",
  ].join("\r\n");
  const fragment = [
    "a=ice-lite",
    "a=ice-ufrag:new",
    "a=ice-pwd:newpassword",
    "m=video 9 UDP/TLS/RTP/SAVPF 0",
    "a=mid:0",
    "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
    "a=candidate:2 1 tcp 1 192.0.2.1 2 typ host tcptype passive",
    "a=end-of-candidates",
    "",
  ].join("\r\n");
  const restarted = restartedAnswer(answer, fragment);
  expect(restarted.split("\r\n")).toEqual([
    "v=0",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=ice-ufrag:new",
    "a=ice-pwd:newpassword",
    "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
    "a=candidate:2 1 tcp 1 192.0.2.1 2 typ host tcptype passive",
    "a=end-of-candidates",
    "a=mid:0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=ice-ufrag:new",
    "a=ice-pwd:newpassword",
    "a=mid:1",
    "",
  ]);
  expect([sameGeneration(answer, restarted), sameGeneration(answer, restartedAnswer(answer, ""))]).toEqual([
    false,
    true,
  ]);
});

test("the codecs of a description", () => {
  expect(codecNames(OFFER)).toEqual(["VP8", "opus"]);
});
