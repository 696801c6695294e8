"""S08 where recordings are: names, directories and paths lead nowhere; nobody reads without the right token."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
from yarl import URL

from tests.gateway import running_gateway
from tests.recorder.published import Client, camera, of_files
from tests.security.test_names import ILLEGAL, head_of_answer
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway import Gateway

KEY = "a key of thirty-two bytes at least"
CANARY = "nobody must read this"
DIRECTORIES = [
    "..",
    "../cam",
    "cam/../../outside",
    "/etc",
    "//etc",
    "cam/./x",
    "cam//x",
    "cam\\..\\x",
    "cam/\u0000x",
    "cam/\nx",
    "x/" * 600 + "x",
    "C:\\x",
    ".partial-x",
]


def _token(stream: str, mode: int) -> str:
    return jwt.encode({"id": stream, "mode": mode, "exp": int(time.time()) + 600}, KEY, algorithm="HS256")


async def _recorded(gateway: Gateway, session: aiohttp.ClientSession, token: str = "") -> tuple[Client, dict[str, Any]]:
    """A recording of `cam` with segments in it."""
    client = Client(gateway, session, token)

    async def begun() -> dict[str, Any] | None:
        try:
            return await client.start("cam")
        except aiohttp.ClientResponseError as error:
            if error.status in {404, 409}:
                return None
            raise

    answer = await eventually(begun)

    async def something() -> bool:
        return bool(json.loads(await client.get("/api/playback/cam")))

    await eventually(something)
    return client, answer


def _files(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


async def test_paths_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text(CANARY)
    root = tmp_path / "tapes"
    async with (
        running_gateway(tmp_path, config=of_files(tmp_path, f"root = '{root}'\n")) as gateway,
        aiohttp.ClientSession() as session,
        camera(f"{gateway.url}/whip/cam"),
    ):
        client, answer = await _recorded(gateway, session)
        await client.stop("cam")
        directory = answer["record_dir"]
        (root / directory / "link").symlink_to(tmp_path / "canary")
        (root / "way").symlink_to(tmp_path)
        before = _files(tmp_path)

        for name in ILLEGAL:
            for method, target in (
                ("POST", f"/api/record/{name}"),
                ("GET", f"/api/record/{name}"),
                ("DELETE", f"/api/record/{name}"),
                ("GET", f"/api/playback/{name}"),
                ("DELETE", f"/api/recordings/{name}/1"),
                ("DELETE", f"/api/recordings/cam/{name}"),
                ("GET", f"/api/record/object/{name}"),
                ("GET", f"/api/record/object/cam/{name}"),
                ("GET", f"/api/record/object/{directory}/{name}"),
                ("GET", f"/api/streams/{name}/thumbnail.jpg"),
            ):
                head = await head_of_answer(gateway, method, target)
                assert head.split()[1] in {"400", "404", "405"}, (method, target, head)
        for path in (
            "../canary",
            "..%2fcanary",
            "%2e%2e/canary",
            "cam/../../canary",
            f"{directory}/../../../canary",
            f"{directory}/link",
            "way/canary",
            f"/{tmp_path}/canary",
            f"%2f{tmp_path}/canary",
            "....//canary",
            f"{directory}/manifest.mpd%00.jpg",
            f"{directory}/.partial-x",
            "/",
        ):
            for method in ("GET", "HEAD"):
                head = await head_of_answer(gateway, method, f"/api/record/object/{path}")
                assert head.split()[1] in {"400", "404"}, (method, path, head)
            url = URL(f"{gateway.url}/api/record/object/{path}", encoded=True)
            async with session.get(url) as response:
                assert CANARY not in await response.text()

        for base in DIRECTORIES:
            async with session.post(f"{gateway.url}/api/record/cam", json={"base_dir": base}) as response:
                assert response.status == 400, base[:40]
                assert response.content_type == "application/problem+json"
                assert str(tmp_path) not in await response.text()
        assert json.loads(await client.get("/api/record/cam")) == {"recording": False}
        assert _files(tmp_path) == before


async def test_a_directory_that_leads_out_of_the_root(tmp_path: Path) -> None:
    """A link that somebody has put into the storage is not written through."""
    root, outside = tmp_path / "tapes", tmp_path / "outside"
    for directory in (root, outside):
        directory.mkdir()
    (root / "way").symlink_to(outside)
    async with (
        running_gateway(tmp_path, config=of_files(tmp_path, f"root = '{root}'\n")) as gateway,
        aiohttp.ClientSession() as session,
        camera(f"{gateway.url}/whip/cam"),
    ):
        client, _ = await _recorded(gateway, session)
        await client.stop("cam")
        async with session.post(f"{gateway.url}/api/record/cam", json={"base_dir": "way/1"}) as response:
            begun = response.status
        if begun == 200:

            async def over() -> bool:
                return bool(json.loads(await client.get("/api/record/cam")) == {"recording": False})

            await eventually(over)
        assert not _files(outside)
        assert (await gateway.stream("cam")) is not None


async def test_who_reads_a_recording(tmp_path: Path) -> None:
    admin = secrets.token_hex()
    auth = f"[auth]\nsecret = '{KEY}'\ntokens = ['{admin}']\n"
    config = auth + of_files(tmp_path, f"root = '{tmp_path}/tapes'\n")
    async with (
        running_gateway(tmp_path, config=config) as gateway,
        aiohttp.ClientSession() as session,
        camera(f"{gateway.url}/whip/cam", token=_token("cam", 2)),
    ):
        client, answer = await _recorded(gateway, session, admin)
        record, directory = answer["record_id"], answer["record_dir"]
        reads = (
            f"/api/record/object/{directory}/manifest.mpd",
            f"/api/record/object/{directory}/v_init.m4s",
            f"/api/record/object/{directory}/v_seg_0001.m4s",
            f"/api/record/object/{directory}/master.m3u8",
            "/api/playback/cam",
            "/api/record/cam",
        )
        everything = ("/api/playback", "/api/recordings")

        async def status(method: str, path: str, token: str | None, **options: Any) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.request(method, gateway.url + path, headers=headers, **options) as response:
                body = await response.read()
                if response.status in {401, 403}:
                    assert b"moof" not in body
                    assert b"<MPD" not in body
                return response.status

        expired = jwt.encode({"id": "cam", "mode": 4, "exp": int(time.time()) - 600}, KEY, algorithm="HS256")
        forged = jwt.encode({"id": "cam", "mode": 4, "exp": int(time.time()) + 600}, KEY[::-1], algorithm="HS256")
        unsigned = jwt.encode({"id": "*", "mode": 7, "exp": int(time.time()) + 600}, "", algorithm="none")
        for path in (*reads, *everything):
            for token in (None, "wrong", expired, forged, unsigned):
                assert await status("GET", path, token) == 401, (path, token)
                assert await status("HEAD", path, token) == 401, (path, token)
            for token in (_token("other", 7), _token("ca", 7), _token("cam", 2), _token("cam", 1)):
                assert await status("GET", path, token) == 403, path
            assert await status("GET", path, admin) == 200, path
        for path in reads:
            assert await status("GET", path, _token("cam", 4)) == 200, path
        for path in everything:
            assert await status("GET", path, _token("cam", 4)) == 403, path

        # A path of one stream does not become another's by what is written in it.
        for path in (f"other/../{directory}/manifest.mpd", f"other/%2e%2e/{directory}/manifest.mpd"):
            headers = {"Authorization": f"Bearer {_token('other', 7)}"}
            url = URL(f"{gateway.url}/api/record/object/{path}", encoded=True)
            async with session.get(url, headers=headers) as response:
                assert response.status in {400, 403, 404}

        for method, path in (
            ("POST", "/api/record/cam"),
            ("DELETE", "/api/record/cam"),
            ("DELETE", f"/api/recordings/cam/{record}"),
        ):
            assert await status(method, path, None) == 401
            for token in (_token("cam", 4), _token("cam", 2), _token("other", 7)):
                assert await status(method, path, token) == 403, (method, path)
        assert await status("POST", "/api/record/other", _token("other", 1), json={"base_dir": "cam/1"}) == 403
        assert json.loads(await client.get("/api/record/cam")) == {"recording": True}
        assert all(token not in line for line in gateway.log for token in (admin, KEY))
