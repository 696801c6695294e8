"""What a gateway was told in confidence must not be in its log, whatever the test was about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from live777py.config import parse
from live777py.errors import ConfigError
from live777py.log import LineFormatter

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}")
"""A JSON web token."""
SHORTEST = 6
"""Characters. A shorter one, or a plain word such as that of `livekit.dev`, may be in a line by chance."""
WORDS = frozenset({"secret", "password", "static"})


def assert_no_secret(log: str, config: str, environment: Mapping[str, str]) -> None:
    """`config` is the text of a configuration file."""
    assert TOKEN.findall(log) == []
    assert [secret for secret in secrets_of(config, environment) if secret in log] == []


def lines_with_token(records: Iterable[logging.LogRecord]) -> list[str]:
    """Of our own code, as they would be in the log."""
    lines = [LineFormatter().format(record) for record in records if record.name.startswith("live777py")]
    return [line for line in lines if TOKEN.search(line)]


def secrets_of(config: str, environment: Mapping[str, str]) -> set[str]:
    """Nothing of a configuration that was refused."""
    try:
        whole = parse(config, environment)
    except ConfigError:
        return set()
    told = set(_secrets(whole)) - set(_secrets(parse("", {})))
    return {text for text in told if len(text) >= SHORTEST and text not in WORDS}


def _secrets(value: Any) -> Iterator[str]:
    for field in fields(value):
        found = getattr(value, field.name)
        for each in _members(found):
            if is_dataclass(each):
                yield from _secrets(each)
            elif isinstance(each, str) and field.metadata["key"].secret:
                yield from _parts(each)


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple):
        yield from value
    else:
        yield value


def _parts(text: str) -> Iterator[str]:
    """Of a URL what is not its address."""
    if "://" not in text:
        yield text
        return
    url = urlsplit(text)
    yield from (part for part in (url.username, url.password) if part)
    yield from (value for _, value in parse_qsl(url.query))
