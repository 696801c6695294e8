"""The m=application section of data channels (RFC 8841), read from a peer's description and written into ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from live777py.rtc.parameters import DataChannelParameters

if TYPE_CHECKING:
    from live777py.rtc import sdp

PORT: Final = 5000
"""Ours, and what is assumed of a peer that names none."""

MAX_MESSAGE_SIZE: Final = 262_144
"""Bytes of the largest message that is taken: what browsers say too."""

_ASSUMED_MESSAGE_SIZE = 65_536  # RFC 8841 section 6.1
_FORMAT = "webrtc-datachannel"
_PROTOCOL = re.compile(r"(?:(?:UDP|TCP)/)?DTLS/SCTP", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,19}")


def offer_lines(mid: str) -> tuple[str, ...]:
    """The section of an offer of ours, but for what it shares with the others: `c=`, ICE and DTLS attributes."""
    return (f"m=application 9 UDP/DTLS/SCTP {_FORMAT}", f"a=mid:{mid}", *_attributes())


def answer_format(offered: sdp.MediaSection) -> str:
    """The format of the m-line that answers this one."""
    return _FORMAT if _FORMAT in offered.formats else str(PORT)


def answer_lines(offered: sdp.MediaSection) -> tuple[str, ...]:
    """The attributes that answer the section, in the form of draft-ietf-mmusic-sctp-sdp-05 where it has that."""
    return _attributes() if _FORMAT in offered.formats else (f"a=sctpmap:{PORT} {_FORMAT} 65535", _attributes()[1])


def read_section(media: sdp.MediaSection) -> DataChannelParameters | None:
    """None for what is not a data channel section, or is one that asks for no association (RFC 8841 section 5.2)."""
    if media.kind != "application" or not _PROTOCOL.fullmatch(media.protocol):
        return None
    if _FORMAT in media.formats:
        port = _number(media.attribute("sctp-port"), PORT)
    else:
        number, name = [*(media.attribute("sctpmap") or "").split(), "", ""][:2]
        if name != _FORMAT or number not in media.formats:
            return None
        port = _number(number, 0)
    if not 1 <= port <= 65_535:
        return None
    return DataChannelParameters(
        port=port, max_message_size=_number(media.attribute("max-message-size"), _ASSUMED_MESSAGE_SIZE)
    )


def _attributes() -> tuple[str, str]:
    return f"a=sctp-port:{PORT}", f"a=max-message-size:{MAX_MESSAGE_SIZE}"


def _number(text: str | None, otherwise: int) -> int:
    text = "" if text is None else text.strip()
    return int(text) if _NUMBER.fullmatch(text) else otherwise
