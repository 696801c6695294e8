"""A program that publishes to a gateway process, and what is seen of its recording from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop.programs import ffmpeg_publisher

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import aiohttp

    from tests.gateway import Gateway


def camera(url: str, *, token: str = "") -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """640x360, about 1 Mbit/s, a key frame every second."""
    return ffmpeg_publisher(
        url,
        inputs=("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine"),
        options=(
            *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "30"),
            *("-b:v", "1M", "-minrate", "1M", "-maxrate", "1M", "-bufsize", "1M"),
            *("-c:a", "libopus", "-ar", "48000", "-ac", "2"),
        ),
        token=token,
    )


def of_files(directory: Path, storage: str, more: str = "") -> str:
    """Configuration: segments of a second, and files that are all below `directory`."""
    return (
        f"[store]\npath = '{directory}/live777.db'\n"
        f"[recorder]\nsegment_seconds = 1\n{more}[recorder.storage]\nspool_dir = '{directory}/spool'\n{storage}"
    )


class Client:
    """The recording API of a gateway."""

    def __init__(self, gateway: Gateway, client: aiohttp.ClientSession, token: str = "") -> None:
        self._url = gateway.url
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def start(self, stream: str, **body: str) -> dict[str, Any]:
        url = f"{self._url}/api/record/{stream}"
        async with self._client.post(url, json=body or None, headers=self._headers) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer

    async def stop(self, stream: str) -> None:
        async with self._client.delete(f"{self._url}/api/record/{stream}", headers=self._headers) as response:
            response.raise_for_status()

    async def get(self, path: str) -> bytes:
        async with self._client.get(f"{self._url}{path}", headers=self._headers) as response:
            response.raise_for_status()
            return await response.read()

    async def object(self, path: str) -> bytes:
        return await self.get(f"/api/record/object/{path}")

    async def metric(self, name: str) -> float:
        """The value of one line of `/metrics`; nan where there is none."""
        text = (await self.get("/metrics")).decode()
        values = [line.removeprefix(name) for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else float("nan")
