/**
 * LiveKit access tokens: HS256 JWTs, made from an API key and its secret.
 *
 * The hash is not the browser's: `crypto.subtle` is absent from pages that came by plain http, as they do on a LAN.
 */

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

export interface ApiKey {
  key: string;
  secret: string;
}

/** The `video` claim. What is absent is LiveKit's default: may publish and subscribe, and nothing else. */
export interface Grants {
  roomCreate?: boolean;
  roomList?: boolean;
  roomAdmin?: boolean;
  roomJoin?: boolean;
  room?: string;
  canPublish?: boolean;
  canSubscribe?: boolean;
  canPublishData?: boolean;
  canPublishSources?: string[];
  canUpdateOwnMetadata?: boolean;
  hidden?: boolean;
}

export interface Claims {
  /** Needed to join. */
  identity?: string;
  name?: string;
  metadata?: string;
  video: Grants;
}

/** @param seconds how long the token is valid from `now`, ms since the epoch */
export function accessToken({ key, secret }: ApiKey, claims: Claims, seconds: number, now = Date.now()): string {
  const { identity, ...more } = claims;
  const issued = Math.floor(now / 1000);
  const payload = { iss: key, nbf: issued, exp: issued + seconds, ...(identity && { sub: identity }), ...more };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(payload)}`;
  return `${signed}.${base64url(hmac(sha256, utf8(secret), utf8(signed)))}`;
}

/** What somebody may: `publish` and `watch` join the room, `admin` manages it. */
export function claimsFor(purpose: string, room: string, identity: string): Claims {
  const join: Grants = { roomJoin: true, room };
  const grants: Record<string, Grants> = {
    publish: join,
    watch: { ...join, canPublish: false, canPublishData: false },
    admin: { roomAdmin: true, room },
  };
  return { identity, video: grants[purpose] ?? join };
}

/** Standard base64, as JSON carries the bytes of a message. */
export function base64(text: string): string {
  return btoa(Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join(""));
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const part = (value: unknown) => base64url(utf8(JSON.stringify(value)));

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
