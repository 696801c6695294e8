"""The claims of an access token, typed. Claims that are not here are ignored, wrong types refuse the token."""

from __future__ import annotations

from typing import Any

import msgspec


class _Claims(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    pass


class VideoGrants(_Claims, frozen=True, kw_only=True):
    """None of the three-valued ones is: not said."""

    room_create: bool | None = None
    room_list: bool | None = None
    room_record: bool | None = None
    room_admin: bool | None = None
    room_join: bool | None = None
    room: str | None = None
    destination_room: str | None = None
    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_publish_sources: tuple[str, ...] | None = None
    can_update_own_metadata: bool | None = None
    ingress_admin: bool | None = None
    hidden: bool | None = None
    recorder: bool | None = None
    agent: bool | None = None
    can_subscribe_metrics: bool | None = None
    can_manage_agent_session: bool | None = None


class SipGrants(_Claims, frozen=True, kw_only=True):
    admin: bool | None = None
    call: bool | None = None


class AgentGrants(_Claims, frozen=True, kw_only=True):
    admin: bool | None = None


class InferenceGrants(_Claims, frozen=True, kw_only=True):
    perform: bool | None = None


class ObservabilityGrants(_Claims, frozen=True, kw_only=True):
    write: bool | None = None


class Grants(_Claims, frozen=True, kw_only=True):
    """`iss` is the API key. `sub` is the identity, else `jti`. Times are unix seconds."""

    iss: str
    exp: float
    sub: str | None = None
    jti: str | None = None
    nbf: float | None = None
    iat: float | None = None
    name: str | None = None
    metadata: str | None = None
    attributes: dict[str, str] | None = None
    kind: str | None = None
    kind_details: tuple[str, ...] | None = None
    video: VideoGrants | None = None
    sip: SipGrants | None = None
    agent: AgentGrants | None = None
    inference: InferenceGrants | None = None
    observability: ObservabilityGrants | None = None
    room_config: dict[str, Any] | None = None
    """RoomConfiguration, in the JSON form of protobuf."""
    room_preset: str | None = None
    sha256: str | None = None

    @property
    def identity(self) -> str:
        return self.sub or self.jti or ""

    @property
    def of_room(self) -> VideoGrants:
        return self.video or _NOTHING


_NOTHING = VideoGrants()
