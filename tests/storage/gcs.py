"""What obstore uses of Google Cloud Storage's XML API: no server of it that can be installed answers as it does."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path


class FakeGcs:
    """One bucket, named `bucket`; `application` is what to serve."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        """Content and content type."""
        self.strict_ranges = True
        """Some servers answer 206 where a range begins at the end of the object."""
        self._modified: dict[str, int] = {}
        self._parts: dict[str, tuple[str, str, dict[int, bytes]]] = {}
        self.application = web.Application(client_max_size=100_000_000)
        self.application.router.add_get("/bucket", self._list)
        self.application.router.add_route("*", "/bucket/{key:.+}", self._object)

    async def _list(self, request: web.Request) -> web.Response:
        prefix = request.query.get("prefix", "")
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{_etag(data)}</ETag>"
            f"<LastModified>{datetime.fromtimestamp(self._modified[key], UTC).isoformat()}</LastModified></Contents>"
            for key, (data, _) in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return web.Response(text=f"<ListBucketResult>{contents}</ListBucketResult>", content_type="application/xml")

    async def _object(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        match request.method:
            case "PUT" if "partNumber" in request.query:
                data = await request.read()
                self._parts[request.query["uploadId"]][2][int(request.query["partNumber"])] = data
                return web.Response(headers={"ETag": _etag(data)})
            case "PUT":
                data = await request.read()
                self._store(key, data, request.headers["Content-Type"])
                return web.Response(headers={"ETag": _etag(data)})
            case "POST":
                return self._multipart(key, request)
        if key not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        if request.method == "DELETE":
            del self.objects[key]
            return web.Response(status=204)
        return self._read(key, request)

    def _store(self, key: str, data: bytes, content_type: str) -> None:
        self.objects[key] = (data, content_type)
        self._modified[key] = int(time.time())

    def _multipart(self, key: str, request: web.Request) -> web.Response:
        if "uploads" in request.query:
            upload = str(len(self._parts))
            self._parts[upload] = (key, request.headers["Content-Type"], {})
            answer = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return web.Response(text=answer)
        key, content_type, parts = self._parts.pop(request.query["uploadId"])
        data = b"".join(parts[number] for number in sorted(parts))
        self._store(key, data, content_type)
        answer = f"<CompleteMultipartUploadResult><ETag>{escape(_etag(data))}</ETag></CompleteMultipartUploadResult>"
        return web.Response(text=answer, headers={"ETag": _etag(data)})

    def _read(self, key: str, request: web.Request) -> web.Response:
        data, content_type = self.objects[key]
        headers = {
            "ETag": _etag(data),
            "Last-Modified": formatdate(self._modified[key], usegmt=True),
            "Content-Type": content_type,
        }
        if request.headers.get("If-Match", _etag(data)) != _etag(data):
            return web.Response(status=412)
        wanted = request.http_range
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(data))})
        if wanted.start is None:
            return web.Response(body=data, headers=headers)
        if wanted.start >= len(data) and self.strict_ranges:
            return web.Response(status=416)
        part = data[wanted]
        headers["Content-Range"] = f"bytes {wanted.start}-{max(wanted.start, wanted.start + len(part) - 1)}/{len(data)}"
        return web.Response(status=206, body=part, headers=headers)


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def write_credentials(path: Path, port: int) -> None:
    account = {
        "gcs_base_url": f"http://127.0.0.1:{port}",
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    path.write_text(json.dumps(account))
