/** LiveKit's RoomService of the gateway, by Twirp in JSON; each call brings a token that allows just that. */

import { type ApiKey, accessToken, base64, type Claims, type Grants } from "./access-token";
import { GatewayError, request } from "./errors";

export interface Permission {
  can_publish: boolean;
  can_subscribe: boolean;
  can_publish_data: boolean;
  can_update_metadata: boolean;
  hidden: boolean;
}

export interface Track {
  sid: string;
  type: "AUDIO" | "VIDEO" | "DATA";
  name: string;
  muted: boolean;
  width: number;
  height: number;
  simulcast: boolean;
  source: "UNKNOWN" | "CAMERA" | "MICROPHONE" | "SCREEN_SHARE" | "SCREEN_SHARE_AUDIO";
  mime_type: string;
}

export interface Participant {
  sid: string;
  identity: string;
  name: string;
  state: "JOINING" | "JOINED" | "ACTIVE" | "DISCONNECTED";
  metadata: string;
  attributes: Record<string, string>;
  /** s since the epoch; as JSON writes an int64. */
  joined_at: string;
  kind: string;
  permission: Permission | null;
  tracks: Track[];
}

export interface Room {
  sid: string;
  name: string;
  empty_timeout: number;
  departure_timeout: number;
  /** 0: no limit. */
  max_participants: number;
  /** s since the epoch; as JSON writes an int64. */
  creation_time: string;
  metadata: string;
  num_participants: number;
  num_publishers: number;
}

/** What CreateRoom takes; 0 is the gateway's default. */
export interface NewRoom {
  name: string;
  empty_timeout: number;
  departure_timeout: number;
  max_participants: number;
  metadata: string;
}

/** What UpdateParticipant changes; an attribute that is "" is removed. */
export interface ParticipantUpdate {
  name: string;
  metadata: string;
  attributes: Record<string, string>;
  permission: Permission;
}

export interface Message {
  text: string;
  topic: string;
  lossy: boolean;
  /** Empty: to everybody. */
  identities: string[];
}

/** Every token but those that people ask for is used at once. */
const TOKEN_SECONDS = 60;

export class Rooms {
  /** @param base directory of the gateway's pages, ends with a slash */
  constructor(
    readonly base: URL,
    readonly key: ApiKey,
  ) {}

  /** The rooms in order of their names. */
  async list(): Promise<Room[]> {
    const { rooms } = await this.#call<{ rooms: Room[] }>("ListRooms", {}, { roomList: true });
    return rooms.sort((a, b) => compare(a.name, b.name));
  }

  async create(room: NewRoom): Promise<void> {
    await this.#call("CreateRoom", room, { roomCreate: true });
  }

  async remove(room: string): Promise<void> {
    await this.#call("DeleteRoom", { room }, { roomCreate: true });
  }

  async updateMetadata(room: string, metadata: string): Promise<void> {
    await this.#call("UpdateRoomMetadata", { room, metadata }, admin(room));
  }

  /** In order: who publishes, then by identity. */
  async participants(room: string): Promise<Participant[]> {
    const { participants } = await this.#call<{ participants: Participant[] }>(
      "ListParticipants",
      { room },
      admin(room),
    );
    const rank = ({ tracks }: Participant) => (tracks.length > 0 ? 0 : 1);
    return participants.sort((a, b) => rank(a) - rank(b) || compare(a.identity, b.identity));
  }

  async removeParticipant(room: string, identity: string): Promise<void> {
    await this.#call("RemoveParticipant", { room, identity }, admin(room));
  }

  async updateParticipant(room: string, identity: string, update: ParticipantUpdate): Promise<void> {
    await this.#call("UpdateParticipant", { room, identity, ...update }, admin(room));
  }

  async mute(room: string, identity: string, track: string, muted: boolean): Promise<void> {
    await this.#call("MutePublishedTrack", { room, identity, track_sid: track, muted }, admin(room));
  }

  async send(room: string, { text, topic, lossy, identities }: Message): Promise<void> {
    const message = {
      room,
      data: base64(text),
      kind: lossy ? "LOSSY" : "RELIABLE",
      destination_identities: identities,
      ...(topic && { topic }),
    };
    await this.#call("SendData", message, admin(room));
  }

  /** For a participant or a server; the gateway is not asked. */
  token(claims: Claims, seconds: number): string {
    return accessToken(this.key, claims, seconds);
  }

  async #call<Answer>(method: string, message: object, video: Grants): Promise<Answer> {
    const response = await request(
      new URL(`twirp/livekit.RoomService/${method}`, this.base),
      accessToken(this.key, { video }, TOKEN_SECONDS),
      { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(message) },
    );
    return (await response.json()) as Answer;
  }
}

/** The answer of a gateway without API keys: it has no such service. */
export const isClosed = (error: unknown) =>
  error instanceof GatewayError && error.status === 404 && error.code !== "not_found";

const admin = (room: string): Grants => ({ roomAdmin: true, room });
const { compare } = new Intl.Collator(undefined, { numeric: true });
