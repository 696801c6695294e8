"""What a key of the configuration file is: its text, its environment variables, its check. No key is listed here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ENV_PREFIX = "LIVE777"


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """An environment variable that is read only when the file does not have the key; `pattern` makes it a value."""

    name: str
    pattern: str = "{}"


@dataclass(frozen=True, kw_only=True)
class Key:
    """Metadata of one field of a section.

    `check` takes a value of the right type and returns it, perhaps normalised; it raises ValueError with the text that
    follows "expected". A key with `built=False` is accepted and has no effect in this version. `live` says whether a
    reload changes it or a restart is needed; None is as the section around it.
    """

    text: str
    env: tuple[str, ...] = ()
    fallback: Fallback | None = None
    example: Any = None
    secret: bool = False
    built: bool = True
    live: bool | None = None
    check: Callable[[Any], Any] | None = None


def key(
    default: Any,
    text: str,
    *,
    env: tuple[str, ...] = (),
    fallback: Fallback | None = None,
    example: Any = None,
    secret: bool = False,
    built: bool = True,
    live: bool | None = None,
    check: Callable[[Any], Any] | None = None,
) -> Any:
    """A scalar or list key, or a table of strings.

    `...` as default makes the key required; `example` is printed where the default is None.

    `env` lists more variables than `LIVE777_<SECTION>_<KEY>`, strongest first; they win over it in the same order.
    """
    metadata = {
        "key": Key(
            text=text, env=env, fallback=fallback, example=example, secret=secret, built=built, live=live, check=check
        )
    }
    if default is ...:
        return field(repr=not secret, metadata=metadata)
    if isinstance(default, dict):
        return field(default_factory=default.copy, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


def section(
    factory: Callable[[], Any],
    text: str = "",
    *,
    built: bool = True,
    live: bool | None = None,
    check: Callable[[Any], Any] | None = None,
) -> Any:
    """A nested table, an array of tables (`factory=tuple`) or named tables (`factory=dict`)."""
    return field(default_factory=factory, metadata={"key": Key(text=text, built=built, live=live, check=check)})
