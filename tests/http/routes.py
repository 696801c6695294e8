"""Every operation of every resource and the token it takes, written down a second time so that a slip shows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.http.doors import FRAGMENT, OFFER, SDP

if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE, ADMIN = 4, 2, 1

JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Needs:
    """`mode`: the bits of which a token of the stream needs one; 0 any such token, None only one with id "*".

    `session`: and it must have made the session, or hold the bits that `test_whose_session_it_is` lists.
    """

    mode: int | None
    session: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


PUBLIC: Final = None
"""No token is looked at."""

ROUTES: Final[dict[tuple[str, str], Needs | None]] = {
    ("POST", "/whip/{stream}"): Needs(mode=WRITE, headers=SDP, body=OFFER),
    ("GET", "/whip/{stream}"): PUBLIC,
    ("POST", "/whep/{stream}"): Needs(mode=READ, headers=SDP, body=OFFER),
    ("GET", "/whep/{stream}"): PUBLIC,
    ("HEAD", "/whep/{stream}"): PUBLIC,
    ("GET", "/session/{stream}/{session}"): Needs(mode=0, session=True),
    ("PATCH", "/session/{stream}/{session}"): Needs(mode=0, session=True, headers=FRAGMENT, body="a=mid:0"),
    ("DELETE", "/session/{stream}/{session}"): Needs(mode=0, session=True),
    ("POST", "/session/{stream}/{session}"): Needs(
        mode=0, session=True, headers=JSON, body='{"kind": "audio", "enabled": true}'
    ),
    ("GET", "/session/{stream}/{session}/layer"): Needs(mode=0, session=True),
    ("POST", "/session/{stream}/{session}/layer"): Needs(mode=0, session=True, headers=JSON, body="{}"),
    ("DELETE", "/session/{stream}/{session}/layer"): Needs(mode=0, session=True),
    ("POST", "/session/{stream}/{session}/events"): Needs(mode=0, session=True, headers=JSON, body="[]"),
    ("GET", "/session/{stream}/{session}/events/{events}"): PUBLIC,
    ("DELETE", "/session/{stream}/{session}/events/{events}"): PUBLIC,
    ("GET", "/api/streams"): Needs(mode=None),
    ("GET", "/api/streams/{stream}/thumbnail.jpg"): Needs(mode=READ),
    ("GET", "/api/sse/streams"): Needs(mode=None),
    ("GET", "/api/streams/{stream}"): Needs(mode=0),
    ("POST", "/api/streams/{stream}"): Needs(mode=None),
    ("DELETE", "/api/streams/{stream}"): Needs(mode=ADMIN),
    ("POST", "/api/cascade/{stream}"): Needs(mode=ADMIN, headers=JSON, body='{"sourceUrl": "http://127.0.0.1/whep/x"}'),
    ("POST", "/api/record/{stream}"): Needs(mode=ADMIN),
    ("GET", "/api/record/{stream}"): Needs(mode=READ),
    ("DELETE", "/api/record/{stream}"): Needs(mode=ADMIN),
    ("GET", "/api/record/object/{path...}"): Needs(mode=READ),
    ("GET", "/api/recordings"): Needs(mode=None),
    ("PATCH", "/api/recordings"): Needs(mode=None, headers=JSON, body='{"records": []}'),
    ("DELETE", "/api/recordings"): Needs(mode=None, headers=JSON, body='{"records": []}'),
    ("DELETE", "/api/recordings/{stream}/{record}"): Needs(mode=ADMIN),
    ("GET", "/api/playback"): Needs(mode=None),
    ("GET", "/api/playback/{stream}"): Needs(mode=READ),
    ("GET", "/api/playback/{stream}/{record}.mp4"): Needs(mode=READ),
    ("GET", "/api/sources"): Needs(mode=None),
    ("GET", "/api/sources/{stream}"): Needs(mode=None),
    ("POST", "/api/sources/{stream}"): Needs(mode=None, headers=JSON, body='{"url": "whep://127.0.0.1/whep/x"}'),
    ("DELETE", "/api/sources/{stream}"): Needs(mode=None),
    ("GET", "/api/sources/{stream}/state"): Needs(mode=None),
    ("POST", "/api/config/reload"): Needs(mode=None),
    ("GET", "/api/strategy"): Needs(mode=None),
    ("GET", "/api/info"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/api/openapi.json"): PUBLIC,
    ("GET", "/api/docs"): PUBLIC,
}


def guarded(chosen: Callable[[Needs], bool] = lambda _needs: True) -> list[tuple[str, str, Needs]]:
    return [(*route, needs) for route, needs in ROUTES.items() if needs is not None and chosen(needs)]


def at(path: str, *, stream: str = "cam", session: str = "unknown") -> str:
    """An object is one of the stream's."""
    object_path = f"{stream}/1718200000/v_seg_0001.m4s"
    values = {"stream": stream, "session": session, "record": "1718200000", "path...": object_path}
    return re.sub(r"\{([\w.]+)\}", lambda name: values.get(name[1], name[0]), path)
