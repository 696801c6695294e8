"""OpenAPI 3.1 from the tables of resources and the types of their bodies: what is served is what is described."""

from __future__ import annotations

import re
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

import live777py
from live777py.config.values import MAX_STREAM_NAME, STREAM_NAME_RULE
from live777py.http.api_page import write_page
from live777py.http.auth import Access
from live777py.http.limits import LIMITED_METHODS
from live777py.http.messages import JSON, SDP, SDP_FRAGMENT
from live777py.http.problems import PROBLEM_JSON, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from live777py.http.resource import Content, Operation, Resource

_ABOUT: Final = (
    "WHIP to publish, WHEP to play, and the API of Live777. "
    "Every path works with and without a slash at its end, answers OPTIONS, and HEAD where it answers GET. "
    "Errors are problem details (RFC 9457)."
)
_TOKENS: Final = {
    Access.PUBLISH: "A token of the stream with w (2).",
    Access.PLAY: "A token of the stream with r (4).",
    Access.SEE_STREAM: "Any token of the stream.",
    Access.DELETE_STREAM: "A token of the stream with x (1).",
    Access.CASCADE: "A token of the stream with x (1).",
    Access.RECORD: "A token of the stream with x (1).",
    Access.PLAY_BACK: "A token of the stream with r (4).",
    Access.SESSION: "The token that made the session, w (2) for the publisher's session, or x (1).",
    Access.EVERYTHING: 'A token for everything: a static one, or a JWT with the id "*".',
}
_TAGS: Final = {
    "whip": "WHIP and WHEP",
    "whep": "WHIP and WHEP",
    "session": "Sessions",
    "streams": "Streams",
    "sse": "Streams",
    "cascade": "Cascade",
    "sources": "Cascade",
    "record": "Recordings",
    "recordings": "Recordings",
    "playback": "Recordings",
}
_REASONS: Final = {
    400: "Not understood.",
    401: "No valid token.",
    403: "The token does not allow it, or a page of another origin tried to.",
    404: "There is no such stream, session, source or recording, or this request may not make it.",
    408: "The body did not arrive in time.",
    409: "The state of the stream forbids it.",
    412: "If-Match names another ICE session.",
    413: "The body is too large.",
    415: "The body has another type.",
    416: "The object is shorter.",
    422: "Understood, and cannot be done.",
    428: "If-Match is missing (webrtc.strict_etags).",
    429: "Too many requests from this address.",
    502: "Another node failed.",
    503: "A limit of this gateway.",
    504: "Another node did not answer in time.",
    507: "No space is left for recordings.",
}
_HEADERS: Final = {
    "Location": "The path of what was made.",
    "Link": "ICE servers (RFC 9725 section 4.6) and extensions.",
    "Accept-Delete": "The media type that is expected.",
    "Accept-Patch": "The media type that is expected; of a session, that of trickled candidates.",
    "Accept-Post": "The media type that is expected.",
    "Content-Range": "Which bytes of how many.",
    "ETag": "Of this version; of a session, of its ICE session.",
    "Retry-After": "Seconds.",
    "WWW-Authenticate": "Bearer",
}
_PROBLEM_HEADERS: Final = {
    401: ["WWW-Authenticate"],
    416: ["Content-Range"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}
_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "stream": {
        "description": STREAM_NAME_RULE,
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_STREAM_NAME},
    },
    "session": {"description": "From the Location of the session.", "schema": {"type": "string", "minLength": 1}},
    "events": {"description": "From the Location of the event stream.", "schema": {"type": "string", "minLength": 1}},
    "record": {"description": "Of the list of recordings.", "schema": {"type": "string", "minLength": 1}},
    "path": {
        "description": "The path of an object of a recording, with its slashes.",
        "schema": {"type": "string", "minLength": 1},
    },
}


class ApiDocument:
    """Written when it is asked for the first time."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources

    @cached_property
    def value(self) -> dict[str, Any]:
        contents = [content for resource in self._resources for content in _contents(resource) if content.shape]
        schemas, components = msgspec.json.schema_components(
            [Problem, *(content.shape for content in contents)], ref_template="#/components/schemas/{name}"
        )
        known: dict[Any, Any] = dict(zip([Problem, *map(id, contents)], schemas, strict=True))
        return {
            "openapi": "3.1.0",
            "info": {"title": "live777py", "version": live777py.__version__, "description": _ABOUT},
            "paths": {
                resource.described_path: {
                    method.lower(): _Description(resource, method, operation, known).value
                    for method, operation in resource.operations.items()
                }
                for resource in self._resources
            },
            "components": {
                "schemas": components,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"bearer": []}],
        }

    @cached_property
    def json(self) -> bytes:
        return msgspec.json.encode(self.value)

    @cached_property
    def page(self) -> bytes:
        return write_page(self.value)


class _Description:
    """Of one operation. `schemas` are those of contents, by identity, and of `Problem`."""

    def __init__(self, resource: Resource, method: str, operation: Operation, schemas: dict[Any, Any]) -> None:
        self._path = resource.described_path
        self._method = method
        self._operation = operation
        self._schemas = schemas

    @property
    def value(self) -> dict[str, Any]:
        operation = self._operation
        words = re.findall(r"\w+", f"{self._method.lower()} {self._path}")
        described: dict[str, Any] = {
            "operationId": words[0] + "".join(word.capitalize() for word in words[1:]),
            "summary": operation.summary,
            "tags": [next((tag for word, tag in _TAGS.items() if word in words[1:3]), "Node")],
            "parameters": list(self._parameters()),
            "responses": {str(status): answer for status, answer in sorted(self._responses())},
        }
        if operation.access is Access.PUBLIC:
            described["security"] = []
        else:
            described["description"] = f"Token: {_TOKENS[operation.access]}"
        if operation.request is not None:
            bodies = (operation.request, *operation.other_requests)
            described["requestBody"] = {
                "required": operation.request.required,
                "content": {name: schema for body in bodies for name, schema in self._content(body).items()},
            }
        return described

    def _parameters(self) -> Iterator[dict[str, Any]]:
        for name in re.findall(r"\{(\w+)\}", self._path):
            yield {"name": name, "in": "path", "required": True, **_PARAMETERS[name]}
        for name, parameter in self._operation.query.items():
            yield {"name": name, "in": "query", "description": parameter.text, "schema": parameter.schema}

    def _responses(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for status, content in self._operation.answers.items():
            answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
            if content is not None:
                answer["content"] = self._content(content)
            made = {HTTPStatus.CREATED, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.NOT_ACCEPTABLE}
            names = ["Location"] if status in made else []
            if status == HTTPStatus.PARTIAL_CONTENT:
                names = ["Content-Range"]
            if names and content is not None and content.media_type == SDP:
                names += ["Link", "Accept-Patch", "ETag"]
            if content is not None and content.media_type == SDP_FRAGMENT:
                names = ["ETag"]
            yield status, {**answer, **_headers(names)}
        for status in self._problems():
            names = _PROBLEM_HEADERS.get(status, [])
            if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
                names = [f"Accept-{self._method.capitalize()}"]
            problem = {PROBLEM_JSON: {"schema": self._schemas[Problem]}}
            yield status, {"description": _REASONS[status], "content": problem, **_headers(names)}

    def _problems(self) -> set[int]:
        operation = self._operation
        statuses = set(operation.problems)
        if "{stream}" in self._path or "{path}" in self._path:
            statuses.add(400)
        if operation.access is not Access.PUBLIC:
            statuses |= {401, 403}
        if operation.request is not None:
            statuses |= {400, 408, 413, 415, 422} if operation.request.media_type == JSON else {400, 408, 413, 415}
        if self._method in LIMITED_METHODS:
            statuses.add(429)
        return statuses

    def _content(self, content: Content) -> dict[str, Any]:
        schema = {"type": "string"} if content.shape is None else self._schemas[id(content)]
        return {content.media_type: {"schema": schema}}


def _contents(resource: Resource) -> Iterator[Content]:
    for operation in resource.operations.values():
        yield from (content for content in (operation.request, *operation.answers.values()) if content is not None)


def _headers(names: list[str]) -> dict[str, Any]:
    """Empty without names, so that the member is left out."""
    if not names:
        return {}
    return {"headers": {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}}
