"""live777py: a WHIP/WHEP media gateway."""

__version__ = "0.1.0"
