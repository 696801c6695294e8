"""What a configuration says without effect, or with an effect that one might not think of."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from live777py.config.livekit import DEV_KEY
from live777py.config.reader import not_built, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from live777py.config.sections import Config


def warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Lines for the log at start."""
    if names := unknown_variables(environ):
        yield f"no key has this name, without effect: {', '.join(names)}"
    if names := not_built(config):
        yield f"not built in this version, without effect: {', '.join(names)}"
    for name, stream in config.stream.items():
        if any(source.url is not None and not source.pulled for source in stream.sources):
            yield f"not built in this version, without effect: stream.{name}.sources that are not whep(s):// or http(s)://"
    if config.auth.secret and not config.auth.enabled:
        yield (
            "auth.secret is set and auth.tokens, auth.jwks and auth.http_url are empty: "
            "authentication is OFF, everybody may do everything"
        )
    if config.livekit.dev:
        yield f'livekit.dev is set: everybody knows the key "{DEV_KEY}" and its secret, and may use the LiveKit API'
    for program in dict.fromkeys(_programs(config)):
        if shutil.which(program) is None:
            yield f"hooks: {program} is not there, or may not be run"
    for server in config.ice_servers:
        if any(char in value for char in ",;" for value in (server.username, server.credential)):
            yield f"ice_servers: OBS cannot read a user name or credential with , or ; ({server.urls[0]})"


def _programs(config: Config) -> Iterator[str]:
    for hooks in (config.hooks, *(stream.hooks for stream in config.stream.values())):
        yield from (
            *hooks.on_stream_created,
            *hooks.on_stream_deleted,
            *hooks.on_publish_started,
            *hooks.on_publish_stopped,
        )
