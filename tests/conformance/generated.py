"""Hooks of schemathesis, loaded by its process: bodies that it cannot make up, and nothing that leaves this machine."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

from tests.fakes.remote import offer, watch

OFFERS = {"/whip/{stream}": offer("opus", "vp8"), "/whep/{stream}": watch("opus", "vp8")}
NOBODY = "http://127.0.0.1:9/"
"""The discard port, where nothing listens."""
URLS = ("sourceUrl", "targetUrl", "url")


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def serialize_text(_ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_path_parameters(ctx: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every second name is that of a session that lives; nothing is deleted that the others need."""
    if path_parameters is None or ctx.operation is None or ctx.operation.method.upper() == "DELETE":
        return path_parameters
    if len("".join(map(str, path_parameters.values()))) % 2:
        return path_parameters
    real = {"stream": os.environ["LIVE_STREAM"], "session": os.environ["LIVE_SESSION"]}
    return {name: real.get(name, value) for name, value in path_parameters.items()}


@schemathesis.hook
def map_body(ctx: schemathesis.HookContext, body: Any) -> Any:
    path = ctx.operation.path if ctx.operation is not None else ""
    if path in OFFERS and isinstance(body, str):
        return OFFERS[path] if len(body) % 2 else body
    if isinstance(body, dict):
        return {name: NOBODY if name in URLS and isinstance(value, str) else value for name, value in body.items()}
    return body
