"""What a viewer may be told of its stream: the server-sent events of the WHEP extension, as state, not as history.

webrtc-http-egress-events of the wish working group. Of each kind only the newest event is kept for a listener.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from live777py.errors import NotFound
from live777py.http.changes import ChangeFollower
from live777py.http.event_stream import Mailbox, encode_event
from live777py.streams.events import StatsSampled, SubscriberLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from live777py.http.keys import Streams
    from live777py.streams.events import StreamEvent
    from live777py.streams.layers import Layer

EVENTS: Final = ("active", "inactive", "layers", "reconnect", "viewercount")
"""The types of the draft that say something here; there is no `scte35`."""
COUNT_SECONDS: Final = 2.0
"""Between two `viewercount` of an event stream: with a thousand viewers each one who comes is news for all."""

_MAX_PER_SESSION: Final = 4
_ACTIVE: Final = {True: encode_event(b"{}", "active"), False: encode_event(b"{}", "inactive")}
_CAPACITY: Final = 1024
"""Changes that are told apart; when there are more at once, everything is looked at."""


@dataclass(eq=False, slots=True)
class _EventStream:
    """`active`, `layers` and `viewercount` are what the listener knows; `counted_at` is on the loop's clock.

    `media` is the index of the viewer's video section, None without one.
    """

    stream: str
    session: str
    types: frozenset[str]
    media: int | None
    mailbox: Mailbox | None = None
    was_active: bool = False
    active: bool | None = None
    layers: tuple[Layer, ...] = ()
    viewercount: int | None = None
    counted_at: float = 0.0

    def listen(self) -> Mailbox:
        """The listener's, who knows nothing yet; an earlier one's is closed."""
        if self.mailbox is not None:
            self.mailbox.close()
        self.mailbox = Mailbox()
        self.active = self.viewercount = None
        self.layers = ()
        return self.mailbox

    def send(self, event: str, message: bytes, kind: str) -> None:
        if self.mailbox is not None and event in self.types:
            self.mailbox.put(message, kind)


@dataclass(slots=True)
class _State:
    """Of a stream. `sessions` are those that play and live."""

    active: bool = False
    sessions: frozenset[str] = frozenset()
    viewercount: int = 0
    layers: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """What was encoded of them already, by identity and section."""


class ViewerEvents:
    """Event streams of sessions. An id is a capability: who knows it may read and end the event stream."""

    def __init__(self, streams: Callable[[], Streams]) -> None:
        self._streams = streams
        self._open: dict[str, _EventStream] = {}
        self._of_stream: dict[str, dict[str, _EventStream]] = {}
        self._follower = ChangeFollower(self._refresh, self.close, capacity=_CAPACITY)

    def open(self, stream: str, session: str, types: frozenset[str]) -> str:
        """The id of a new event stream. Raises NotFound if the session does not play."""
        if session not in self._state(stream).sessions:
            raise NotFound("no such session")
        mine = [key for key, entry in self._of_stream.get(stream, {}).items() if entry.session == session]
        if len(mine) >= _MAX_PER_SESSION:
            self._drop(mine[0])
        key = secrets.token_urlsafe(16)
        entry = _EventStream(stream, session, types, self._streams().video_section(stream, session))
        self._open[key] = self._of_stream.setdefault(stream, {})[key] = entry
        self._follower.start(self._streams().bus)
        return key

    def listen(self, stream: str, session: str, key: str) -> Mailbox:
        """A mailbox with all that is so now; it takes the place of an earlier listener's. Raises NotFound."""
        entry = self._find(stream, session, key)
        mailbox = entry.listen()
        self._tell(entry, self._state(stream))
        return mailbox

    def require(self, stream: str, session: str, key: str) -> None:
        """Raises NotFound."""
        self._find(stream, session, key)

    def remove(self, stream: str, session: str, key: str) -> None:
        """Raises NotFound."""
        self._find(stream, session, key)
        self._drop(key)

    def say_goodbye(self, url_of: Callable[[str], str | None]) -> None:
        """The server ends: its viewers are to come again, to the WHEP endpoint `url_of` their stream or to their own.

        It is the last that listeners are told.
        """
        for stream, entries in self._of_stream.items():
            url = url_of(stream)
            for entry in entries.values():
                _send_away(entry, url)
        self.close()

    def close(self) -> None:
        for key in tuple(self._open):
            self._drop(key)

    def _find(self, stream: str, session: str, key: str) -> _EventStream:
        entry = self._open.get(key)
        if entry is None or (entry.stream, entry.session) != (stream, session):
            raise NotFound("no such event stream")
        return entry

    def _drop(self, key: str) -> None:
        entry = self._open.pop(key)
        entries = self._of_stream[entry.stream]
        del entries[key]
        if not entries:
            del self._of_stream[entry.stream]
        if entry.mailbox is not None:
            entry.mailbox.close()
        if not self._open:
            self._follower.stop()

    def _refresh(self, events: list[StreamEvent], missed: bool) -> None:
        changed: Iterable[str]
        if missed or any(isinstance(event, StatsSampled) for event in events):
            changed = tuple(self._of_stream)
        else:
            changed = {event.stream for event in events if not isinstance(event, StatsSampled)}
        for event in events:
            if isinstance(event, SubscriberLeft) and event.reason == "cascade-push":
                for entry in self._of_stream.get(event.stream, {}).values():
                    if entry.session == event.session:
                        _send_away(entry, None)
        for stream in changed:
            if (entries := self._of_stream.get(stream)) is not None:
                self._look(stream, entries)

    def _look(self, stream: str, entries: dict[str, _EventStream]) -> None:
        state = self._state(stream)
        for key, entry in tuple(entries.items()):
            if entry.session in state.sessions:
                self._tell(entry, state)
            else:
                self._drop(key)

    def _state(self, stream: str) -> _State:
        try:
            view = self._streams().stream(stream)
        except NotFound:
            return _State()
        viewers = view.subscribe.sessions
        return _State(
            active=any(session.state == "connected" for session in view.publish.sessions),
            sessions=frozenset(session.id for session in viewers if session.state != "closed"),
            viewercount=sum(
                session.state == "connected" and not session.relay and session.cascade is None for session in viewers
            ),
        )

    def _tell(self, entry: _EventStream, state: _State) -> None:
        """What differs from what it has been told."""
        if entry.mailbox is None:
            return
        entry.was_active |= state.active
        if entry.was_active and entry.active != state.active:  # no `inactive` before the first `active`
            entry.active = state.active
            entry.send("active" if state.active else "inactive", _ACTIVE[state.active], "publication")
        self._tell_count(entry, state.viewercount)
        if entry.media is not None:
            layers = self._streams().published_layers(entry.stream, entry.session)
            if layers is not entry.layers:
                entry.layers = layers
                entry.send("layers", _encoded(state, layers, entry.media), "layers")

    def _tell_count(self, entry: _EventStream, count: int) -> None:
        now = asyncio.get_running_loop().time()
        if entry.viewercount == count or (entry.viewercount is not None and now - entry.counted_at < COUNT_SECONDS):
            return  # the sampler's next change comes within two seconds
        entry.viewercount, entry.counted_at = count, now
        entry.send("viewercount", encode_event(b'{"viewercount":%d}' % count, "viewercount"), "viewercount")


def _send_away(entry: _EventStream, url: str | None) -> None:
    data = {} if url is None else {"url": url}
    entry.send("reconnect", encode_event(msgspec.json.encode(data), "reconnect"), "reconnect")


def _encoded(state: _State, layers: tuple[Layer, ...], media: int) -> bytes:
    """The same bytes for all viewers who have the video in the same section."""
    key = (id(layers), media)
    if key not in state.layers:
        data = {str(media): [_layer(layer) for layer in layers]}
        state.layers[key] = encode_event(msgspec.json.encode(data), "layers")
    return state.layers[key]


def _layer(layer: Layer) -> dict[str, str | int]:
    """A bitrate of 0 says that nothing comes; a size of 0 is left out, as it is unknown."""
    known: dict[str, str | int | None] = {
        "rid": layer.rid,
        "spatialLayerId": layer.spatial,
        "temporalLayerId": layer.temporal,
        "bitrate": layer.bitrate,
        "width": layer.width or None,
        "height": layer.height or None,
    }
    return {name: value for name, value in known.items() if value is not None}
