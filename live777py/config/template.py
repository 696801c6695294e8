"""`live777py config`: the file with every key, its text and its default, all commented out."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, cast, get_args, get_origin, get_type_hints

from live777py.config.keys import ENV_PREFIX, Key
from live777py.config.sections import Config

_HEAD = f"""\
live777py configuration. What is printed here are the defaults; remove the "#" before a key to change it.
Every key outside of lists and [stream.*] can also be set by an environment variable, which wins over the file:
{ENV_PREFIX}_<SECTION>_<KEY>, for example {ENV_PREFIX}_HTTP_CORS=true; the items of a list are separated by commas.
"""
_NOT_BUILT = "Not built in this version: accepted, and named in a warning at start."
_WIDTH = 118


def template() -> str:
    lines = [*_comment(_HEAD)]
    _write(Config, (), lines, shown=True, built=True)
    return "\n".join(lines) + "\n"


def _write(cls: type[Any], path: tuple[str, ...], lines: list[str], *, shown: bool, built: bool) -> None:
    """`shown` sections have a real header; those that a file may have many of are an example, commented out."""
    hints = get_type_hints(cls)
    sections: list[tuple[str, Key, Any]] = []
    for field in fields(cls):
        key: Key = field.metadata["key"]
        if _section_of(hints[field.name]) is not None:
            sections.append((field.name, key, hints[field.name]))
            continue
        lines += _comment(key.text + _variables((*path, field.name), key))
        if built and not key.built:
            lines += _comment(_NOT_BUILT)
        lines.append(f"#{field.name} = {_literal(_shown_value(field.default, key))}")
    for name, key, hint in sections:
        element = cast("type[Any]", _section_of(hint))
        origin = get_origin(hint)
        inner = (*path, name, "cam1") if origin is Mapping else (*path, name)
        header = f"[[{'.'.join(inner)}]]" if origin is tuple else f"[{'.'.join(inner)}]"
        real = shown and is_dataclass(hint)
        lines.append("")
        if key.text:
            lines += _comment(key.text)
        if built and not key.built:
            lines += _comment(_NOT_BUILT)
        lines.append(header if real else f"#{header}")
        _write(element, inner, lines, shown=real, built=built and key.built)


def _section_of(hint: Any) -> type[Any] | None:
    """The dataclass inside of `X`, `X | None`, `tuple[X, ...]` or `Mapping[str, X]`, or None for a plain key."""
    for candidate in (hint, *reversed(get_args(hint))):
        if is_dataclass(candidate):
            return cast("type[Any]", candidate)
    return None


def _shown_value(default: Any, key: Key) -> Any:
    return key.example if default is None or default is MISSING else default


def _variables(path: tuple[str, ...], key: Key) -> str:
    regular = "_".join((ENV_PREFIX, *path)).upper()
    names = [name for name in key.env if name != regular]
    if key.fallback is not None:
        return f"\nEnvironment, if the key is absent: {key.fallback.name}."
    return f"\nEnvironment also: {', '.join(names)}." if names else ""


def _comment(text: str) -> list[str]:
    wrapped: list[str] = []
    for paragraph in text.splitlines():
        wrapped += textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"# {line}".rstrip() for line in wrapped]


def _literal(value: Any) -> str:
    """A TOML literal; JSON's strings, numbers, booleans and lists of strings are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_literal(item)}" for name, item in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
