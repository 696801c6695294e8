"""An offer that can be served: one ICE and DTLS transport under all its m-sections, each of them judged.

What both doors share. Which direction, how many sections and which codecs are wanted is in `publish` and `play`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py import errors
from live777py.rtc.described import Described, read_description, read_transport

if TYPE_CHECKING:
    from live777py.rtc.parameters import DtlsRole, RemotePeer

# RFC 4145 section 4: an offer that does not say is active.
_ROLES: Final[dict[str | None, DtlsRole]] = {
    "actpass": "passive",
    "active": "passive",
    "passive": "active",
    None: "passive",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer(Described):
    """Sections that are neither in `sections` nor `data` are answered with port 0."""

    remote: RemotePeer


def read_offer(text: str) -> Offer:
    """Raises `errors.BadRequest` (no SDP) or `errors.Unprocessable` (SDP that cannot be served), nothing else."""
    read = read_description(text)
    if read.description.ice_lite:
        raise errors.Unprocessable("the offer is ICE-lite, and the gateway waits for checks: nobody would begin")
    return Offer(
        description=read.description, sections=read.sections, data=read.data, remote=read_transport(read, _ROLES)
    )
