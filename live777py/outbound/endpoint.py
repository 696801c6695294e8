"""Another server's WHIP or WHEP address together with the credential for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from yarl import URL

from live777py.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEMES: Final = {"http": "http", "https": "https", "whip": "http", "whips": "https", "whep": "http", "wheps": "https"}
_MAX_LENGTH: Final = 4096
_CREDENTIAL: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_NAMED_SCHEME: Final = re.compile(r"(?:bearer|basic) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` is http or https without userinfo, `authorization` the header's value, or what makes one for each request.

    `own`: it is a node of our own cluster, wherever that may be. Its text shows no secret.
    """

    url: str
    authorization: str | Callable[[], str] | None = field(default=None, repr=False)
    own: bool = False

    @classmethod
    def parse(cls, text: str, *, token: str | None = None) -> Endpoint:
        """Reads `whep://token@host/whep/stream` and the like; `token` comes before the one in the text.

        The schemes whip, whep (http) and whips, wheps (https) are understood. A token is sent as `Bearer`, unless it
        begins with `Bearer ` or `Basic ` itself. Raises `errors.BadRequest`, whose text repeats nothing of the input.
        """
        url = _url(text)
        credential = token or unquote(url.raw_authority.rpartition("@")[0])
        if credential and not _CREDENTIAL.fullmatch(credential):
            raise BadRequest("the token is not one that a header can carry")
        if credential and not _NAMED_SCHEME.match(credential):
            credential = f"Bearer {credential}"
        return cls(str(url.with_scheme(_SCHEMES[url.scheme]).with_user(None)), credential or None)

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"Endpoint({str(self)!r})"

    def authorization_for(self, url: URL) -> str | None:
        """The credential, if it may be sent there: to the origin that it was given for, or to its TLS side."""
        own = URL(self.url)
        upgraded = (own.scheme, url.scheme) == ("http", "https") and own.host == url.host
        if own.origin() != url.origin() and not upgraded:
            return None
        return self.authorization() if callable(self.authorization) else self.authorization


def shown(url: str | URL) -> str:
    """A URL for a person: without userinfo, query and fragment, where secrets are."""
    try:
        parsed = URL(url)
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "an unreadable URL"


def _url(text: str) -> URL:
    if len(text) > _MAX_LENGTH:
        raise BadRequest("the URL is too long")
    try:
        url = URL(text.strip())
        if url.scheme in _SCHEMES and url.host:
            url.origin()
            return url.with_fragment(None)
    except ValueError:
        raise BadRequest("the URL is malformed") from None
    raise BadRequest(f"the URL has no host, or a scheme other than {', '.join(_SCHEMES)}")
