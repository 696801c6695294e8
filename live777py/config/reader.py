"""A TOML file and the environment become a `Config`, or one ConfigError that names the key and what was expected."""

from __future__ import annotations

import difflib
import functools
import tomllib
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from live777py.config.keys import ENV_PREFIX, Key
from live777py.config.sections import Config, StrategyConfig
from live777py.errors import ConfigError

DEFAULT_FILE = Path("live777.toml")

_PREFIX = ENV_PREFIX + "_"

_Section = TypeVar("_Section")


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read `path`; None means live777.toml in the current directory if it is there, else the defaults.

    Raises ConfigError, also for a named file that cannot be read.
    """
    optional, path = path is None, path or DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return parse("", environ)
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    try:
        return parse(text, environ)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.detail}") from None


def parse(text: str, environ: Mapping[str, str]) -> Config:
    """Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from None
    config = _read(Config, table, _Place(environ=environ))
    streams = table.get("stream", {})
    return replace(
        config,
        stream={
            name: replace(
                stream,
                strategy=_read(
                    StrategyConfig,
                    streams[name].get("strategy", {}),
                    _Place(keys=("stream", name, "strategy")),
                    config.strategy,
                ),
            )
            for name, stream in config.stream.items()
        },
    )


def not_built(config: Config) -> tuple[str, ...]:
    """Dotted names of what is set and has no effect in this version; a section is named without its keys."""
    return tuple(_not_built(config, ()))


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that look like a key of a section and are none."""
    sections = [_PREFIX + field.name.upper() + "_" for field in fields(Config)]
    known = {name for name, _ in _variables(Config, ())}
    return tuple(sorted(name for name in environ if name.startswith(tuple(sections)) and name not in known))


@functools.cache
def secret_variables() -> frozenset[str]:
    """Variables that no other program needs to see."""
    return frozenset(name for name, key in _variables(Config, ()) if key.secret)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where in the file we are. `environ` is None inside lists and named tables: no variable names their keys."""

    keys: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None

    def __truediv__(self, name: str) -> _Place:
        return replace(self, keys=(*self.keys, name))

    def item(self, index: int | str) -> _Place:
        return _Place(keys=(*self.keys, str(index)))

    def __str__(self) -> str:
        return ".".join(name if name.isidentifier() or name.isdecimal() else repr(name) for name in self.keys)

    def expected(self, what: str, origin: str | None = None) -> ConfigError:
        return ConfigError(f"{origin} ({self}): expected {what}" if origin else f"{self}: expected {what}")


def _read(cls: type[_Section], table: object, place: _Place, base: _Section | None = None) -> _Section:
    if not isinstance(table, dict):
        raise place.expected("a table")
    hints = get_type_hints(cls)
    known = {field.name: field for field in fields(cast("Any", cls))}
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"expected one of {', '.join(known)}"
            raise ConfigError(f"{place / name}: unknown key; {hint}")
    values: dict[str, Any] = {}
    for name, field in known.items():
        where, key = place / name, _key(field)
        if (found := _from_environment(where, key, hints[name], in_file=name in table)) is not None:
            values[name] = found
        elif name in table:
            values[name] = _checked(key, _convert(hints[name], table[name], where), where)
        elif is_dataclass(hint := hints[name]) and where.environ is not None:
            values[name] = _checked(key, _read(cast("type[Any]", hint), {}, where), where)
        elif base is not None:
            values[name] = getattr(base, name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where}: missing")
    return cls(**values)


def _key(field: Field[Any]) -> Key:
    key: Key = field.metadata["key"]
    return key


def _checked(key: Key, value: Any, place: _Place, origin: str | None = None) -> Any:
    if key.check is None:
        return value
    try:
        return key.check(value)
    except ValueError as error:
        raise place.expected(str(error), origin) from None


def _convert(hint: Any, value: object, place: _Place) -> Any:
    hint = _required(hint)
    origin = get_origin(hint)
    if origin is tuple:
        return _convert_list(get_args(hint)[0], value, place)
    if origin is Mapping and get_args(hint)[1] is str:
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise place.expected("a table of strings")
        return value
    if origin is Mapping:
        if not isinstance(value, dict):
            raise place.expected("a table of tables")
        element = get_args(hint)[1]
        return {name: _read(element, table, place.item(name)) for name, table in value.items()}
    if origin is Literal:
        if value not in get_args(hint):
            raise place.expected("one of " + ", ".join(f'"{name}"' for name in get_args(hint)))
        return value
    if is_dataclass(hint):
        return _read(cast("type[Any]", hint), value, place)
    if type(value) is not hint:
        raise place.expected({bool: "true or false", int: "an integer", str: "a string"}[hint])
    return value


def _convert_list(element: Any, value: object, place: _Place) -> tuple[Any, ...]:
    tables = is_dataclass(element)
    if not isinstance(value, list):
        raise place.expected("a list of tables" if tables else "a list of strings")
    if not tables and not all(isinstance(item, str) for item in value):
        raise place.expected("a list of strings")
    if tables:
        return tuple(_read(cast("type[Any]", element), item, place.item(index)) for index, item in enumerate(value))
    return tuple(value)


def _required(hint: Any) -> Any:
    """`X | None` as X: an absent key is None, TOML has no null."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(argument for argument in get_args(hint) if argument is not type(None))
    return hint


def _from_environment(place: _Place, key: Key, hint: Any, *, in_file: bool) -> Any:
    if place.environ is None or not _is_leaf(hint):
        return None
    for name in _names(key, place.keys):
        if name in place.environ:
            return _checked(key, _convert_text(hint, place.environ[name], place, name), place, name)
    if key.fallback is not None and not in_file and key.fallback.name in place.environ:
        text = key.fallback.pattern.format(place.environ[key.fallback.name])
        return _checked(key, _convert_text(hint, text, place, key.fallback.name), place, key.fallback.name)
    return None


def _variables(cls: type[Any], keys: tuple[str, ...]) -> Iterator[tuple[str, Key]]:
    hints = get_type_hints(cls)
    for field in fields(cls):
        hint, path = hints[field.name], (*keys, field.name)
        if _is_leaf(hint):
            for name in _names(_key(field), path):
                yield name, _key(field)
        elif is_dataclass(hint):
            yield from _variables(cast("type[Any]", hint), path)


def _names(key: Key, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Strongest first."""
    return tuple(dict.fromkeys((*key.env, _PREFIX + "_".join(keys).upper())))


def _is_leaf(hint: Any) -> bool:
    hint = _required(hint)
    if get_origin(hint) in (tuple, Mapping):
        return get_args(hint)[0 if get_origin(hint) is tuple else 1] is str
    return get_origin(hint) is Literal or hint in (bool, int, str)


def _convert_text(hint: Any, text: str, place: _Place, origin: str) -> Any:
    hint = _required(hint)
    if get_origin(hint) is tuple:
        return tuple(item for part in text.split(",") if (item := part.strip()))
    if get_origin(hint) is Mapping:
        pairs = [part.partition(":") for part in text.replace("\n", ",").split(",") if part.strip()]
        if not all(colon for _, colon, _ in pairs):
            raise place.expected('"name: value", several separated by commas', origin)
        return {name.strip(): value.strip() for name, _, value in pairs}
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise place.expected("one of " + ", ".join(get_args(hint)), origin)
        return text
    if hint is bool:
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if text.strip().lower() not in words:
            raise place.expected("true or false", origin)
        return words[text.strip().lower()]
    if hint is int:
        try:
            return int(text)
        except ValueError:
            raise place.expected("an integer", origin) from None
    return text


def _not_built(value: Any, keys: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for field in fields(value):
        path = (*keys, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        current = getattr(value, field.name)
        if current == default:
            continue
        if not _key(field).built:
            names.append(".".join(path))
        elif is_dataclass(current):
            names += _not_built(current, path)
        elif isinstance(current, Mapping):
            for name, item in current.items():
                if is_dataclass(item):
                    names += _not_built(item, (*path, name))
        elif isinstance(current, tuple) and is_dataclass(current[0]):
            for number, item in enumerate(current):
                names += _not_built(item, (*path, str(number)))
    return names
