"""A reverse proxy before a gateway: the nginx of the distribution, with its files in a directory of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.gateway import free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONFIG = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream gateway {{ server {upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def reverse_proxy(directory: Path, upstream: str) -> AsyncIterator[str]:
    """The URL of an nginx that passes everything to `upstream` (host and port)."""
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(directory=directory, upstream=upstream, port=port))
    process = await asyncio.create_subprocess_exec(
        *("nginx", "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(config))
    )

    async def listening() -> bool:
        assert process.returncode is None, (directory / "error.log").read_text()
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    try:
        await eventually(listening)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
