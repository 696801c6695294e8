"""What a reload does: which keys changed, which of them can change while the gateway runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live777py.config.keys import Key
    from live777py.config.sections import Config


@dataclass(frozen=True, kw_only=True)
class Changes:
    """`config` is the new one, except for what needs a restart. The names are dotted; none holds a value."""

    config: Config
    live: tuple[str, ...]
    restart_needed: tuple[str, ...]


def compare(old: Config, new: Config) -> Changes:
    merge = _Merge()
    config: Config = merge.section(old, new, (), live=False)
    return Changes(config=config, live=tuple(merge.live), restart_needed=tuple(merge.restart_needed))


@dataclass
class _Merge:
    live: list[str] = field(default_factory=list)
    restart_needed: list[str] = field(default_factory=list)

    def section(self, old: Any, new: Any, path: tuple[str, ...], *, live: bool) -> Any:
        """Two of the same dataclass as one."""
        values = {}
        for each in fields(new):
            key: Key = each.metadata["key"]
            before, after = getattr(old, each.name), getattr(new, each.name)
            if key.built and before != after:
                here = live if key.live is None else key.live
                values[each.name] = self._value(before, after, (*path, each.name), live=here)
        return replace(new, **values)

    def _value(self, before: Any, after: Any, path: tuple[str, ...], *, live: bool) -> Any:
        if is_dataclass(before) and type(before) is type(after):
            return self.section(before, after, path, live=live)
        if live and isinstance(after, Mapping):
            for name in before.keys() - after.keys():
                self.live.append(".".join((*path, name)))
            return {
                name: self._value(before.get(name), item, (*path, name), live=live)
                if before.get(name) != item
                else item
                for name, item in after.items()
            }
        (self.live if live else self.restart_needed).append(".".join(path))
        return after if live else before
