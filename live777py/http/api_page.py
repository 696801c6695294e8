"""The API's description as a page: plain HTML without a script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_STYLE: Final = """\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  background: light-dark(#f5f4f1, #131416); color: light-dark(#1d1e20, #e6e4df); }
h1, h2 { font-weight: 600; line-height: 1.2; }
details { border: 1px solid light-dark(#d8d5cd, #34363b); border-radius: 6px; margin: .5rem 0;
  background: light-dark(#fff, #1b1c1f); }
summary { cursor: pointer; padding: .5rem .75rem; display: flex; flex-wrap: wrap; gap: .25rem .75rem; }
details > div { padding: 0 .75rem .75rem; overflow-x: auto; }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; overflow-wrap: normal; margin: 0; }
.method { min-width: 4.5em; font-weight: 700; color: light-dark(#0a5c8c, #7cc4f0); }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; }
a { color: light-dark(#0a5c8c, #7cc4f0); }
"""


def write_page(document: dict[str, Any]) -> bytes:
    """`document` is OpenAPI as `http.openapi` writes it."""
    return "\n".join(_page(document)).encode()


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}: HTTP API"
    yield '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n<h1>{title}</h1>"
    yield f'<p>{escape(info["description"])} The same for programs: <a href="/api/openapi.json">openapi.json</a>. '
    yield '<a href="/">What is live</a>.</p>'
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append("\n".join(_operation(path, method, operation)))
    for tag, operations in tags.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from operations
    yield "<h2>Bodies</h2>"
    for name, schema in document["components"]["schemas"].items():
        text = msgspec.json.format(msgspec.json.encode(schema)).decode()
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<div><pre>{escape(text)}</pre></div></details>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><code class="method">{method.upper()}</code>'
    yield f"<code>{escape(path)}</code> <span>{escape(operation['summary'])}</span></summary><div>"
    yield f"<p>{escape(operation.get('description', 'No token is needed.'))}</p><table>"
    for parameter in operation["parameters"]:
        yield _row(f"<code>{escape(parameter['name'])}</code>, {parameter['in']}", escape(parameter["description"]))
    if (body := operation.get("requestBody")) is not None:
        yield _row("body", _content(body["content"]))
    for status, answer in operation["responses"].items():
        content = _content(answer["content"]) if "content" in answer else "no body"
        headers = "".join(f", <code>{escape(name)}</code>" for name in answer.get("headers", {}))
        yield _row(status, f"{escape(answer['description'])} {content}{headers}")
    yield "</table></div></details>"


def _row(head: str, text: str) -> str:
    return f"<tr><th>{head}<td>{text}"


def _content(content: dict[str, Any]) -> str:
    return ", ".join(f"<code>{escape(media)}</code> {_schema(entry['schema'])}" for media, entry in content.items())


def _schema(schema: dict[str, Any]) -> str:
    """A word for it, with a link where it has a name."""
    if (reference := schema.get("$ref")) is not None:
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_schema(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_schema(schema['items'])}"
    return escape(str(schema.get("type", "")))
