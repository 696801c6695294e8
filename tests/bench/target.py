"""A figure with the limit that it must not pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    name: str
    value: float
    limit: float
    unit: str = ""
    """Empty for a ratio."""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"met": self.met}

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.name:<44} {self.value:>7.2f} {self.unit:<2}  at most {self.limit:>6.2f} {self.unit:<2}  {verdict}"
        )
