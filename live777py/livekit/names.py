"""How rooms and identities are named as streams, and who somebody is that no token names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live777py.streams.participant import Participant

if TYPE_CHECKING:
    from live777py.streams.session import Role


def split(stream: str) -> tuple[str, str]:
    """Room and identity: `alice@standup` is alice's in standup, `cam1` that of cam1 in the room cam1."""
    identity, _, room = stream.rpartition("@")
    return (room, identity) if room and identity else (stream, stream)


def room_of(stream: str) -> str:
    return split(stream)[0]


def stream_of(room: str, identity: str) -> str:
    """What a participant publishes that was not told a stream."""
    return room if identity == room else f"{identity}@{room}"


def stranger(stream: str, role: Role, session: str) -> Participant:
    """Who came without a LiveKit token: a publisher is called as its stream says, a viewer by its session."""
    room, identity = split(stream)
    return Participant(room=room, identity=identity if role == "publish" else f"viewer-{session[:8]}")
