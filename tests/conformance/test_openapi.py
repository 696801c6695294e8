"""The description of the API against the gateway: requests are made up from it, and answers must be as it says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.remote import watch
from tests.gateway import running_gateway

TOKEN = "static-token"
EXAMPLES = 10
"""For each operation, besides those that schemathesis derives from the schemas one by one."""
ENDLESS = "/api/sse/streams"
"""An answer without end is what tests/http/test_snapshots.py reads."""
SETTINGS = """\
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "502", "503"]
"""
"""502: there is no other node to pull from. 503: the publishers that are made up send no key frame."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


@pytest.mark.timeout(180)
async def test_the_gateway_is_as_its_description_says(tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    async with running_gateway(tmp_path, config=f'[auth]\ntokens = ["{TOKEN}"]\n') as gateway:
        stream, session = await _play(gateway.url)
        process = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{gateway.url}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--checks", ",".join(CHECKS)),
            *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "777"),
            *("--generation-database", "none", "--exclude-path", ENDLESS, "--continue-on-failure"),
            *("--request-timeout", "10", "--no-color"),
            cwd=tmp_path,
            env={
                **os.environ,
                "LIVE_STREAM": stream,
                "LIVE_SESSION": session,
                "SCHEMATHESIS_HOOKS": "tests.conformance.generated",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, output.decode()
        assert not [line for line in gateway.log if " ERROR " in line]


async def _play(url: str) -> list[str]:
    """The stream and the session of a viewer."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/sdp"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(f"{url}/whep/cam", data=watch("opus", "vp8")) as response,
    ):
        assert response.status == 201
        return response.headers["Location"].split("/")[-2:]
