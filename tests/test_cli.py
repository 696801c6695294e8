"""The command line and the life of the process: what it prints, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

import live777py
from live777py import cli
from live777py.config import template
from tests.fakes.remote import offer
from tests.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STOP_LIMIT = 5.0
"""Seconds."""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's environment and the current directory say nothing."""
    for name in [
        name for name in os.environ if name.startswith(("LIVE777_", "LIVETWO_")) or name in {"PORT", "LOG_LEVEL"}
    ]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _run(
    *arguments: str, program: Sequence[str] = ("-m", "live777py"), **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def taken_tcp() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def taken_udp() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_config_prints_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config"]) == 0
    assert capsys.readouterr().out == template()


def test_check_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "good.toml"
    path.write_text("[rtsp]\nmax_connections = 1\n[auth]\nsecret = 'hunter2'\n")
    for arguments in (["check", "-c", str(path)], ["-c", str(path), "check"]):
        assert cli.main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out == "the configuration is good\n"
        assert [line.partition(" ")[0] for line in printed.err.splitlines()] == ["warning:", "warning:"]
        assert "without effect: rtsp\n" in printed.err
        assert "hunter2" not in printed.err


@pytest.mark.parametrize("command", [["check"], []])
def test_a_token_that_cannot_be_sent(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "live777.toml"
    path.write_text(
        '[http]\nlisten = "127.0.0.1:0"\n[[stream.cam.targets]]\nurl = "whip://hun%0ater@127.0.0.1/whip/x"\n'
    )
    finished = _run(*command, "-c", str(path), LIVE777_WEBRTC_ICE_UDP_ADDRS="127.0.0.1:0")
    assert finished.returncode == cli.WRONG_CONFIG
    assert finished.stderr == "live777py: stream.cam: the token is not one that a header can carry\n"


@pytest.mark.parametrize("command", [["check"], []])
def test_a_bad_file_is_one_line_and_2(tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[http]\nlisen = 'x'\n")
    assert cli.main([*command, "-c", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f'live777py: {path}: http.lisen: unknown key; did you mean "listen"?\n'


def test_a_file_that_is_not_there_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-c", "nowhere.toml"]) == 2
    assert capsys.readouterr().err == "live777py: cannot read nowhere.toml: No such file or directory\n"


def test_a_wrong_variable_is_2() -> None:
    result = _run(LIVE777_WEBRTC_WORKERS="many")
    assert result.returncode == 2
    assert result.stderr == "live777py: LIVE777_WEBRTC_WORKERS (webrtc.workers): expected an integer\n"


def test_a_wrong_argument_is_2() -> None:
    assert _run("--listen", "x").returncode == 2


def test_version() -> None:
    assert _run("--version").stdout == f"live777py {live777py.__version__}\n"


def test_a_tcp_port_in_use_is_one_line_and_1(taken_tcp: int) -> None:
    result = _run(LIVE777_HTTP_LISTEN=f"127.0.0.1:{taken_tcp}", LIVE777_WEBRTC_ICE_UDP_ADDRS="127.0.0.1:0")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"live777py: cannot listen on TCP 127.0.0.1:{taken_tcp}: Address already in use\n"


def test_a_udp_port_in_use_is_one_line_and_1(taken_udp: int) -> None:
    result = _run(LIVE777_HTTP_LISTEN="127.0.0.1:0", LIVE777_WEBRTC_ICE_UDP_ADDRS=f"127.0.0.1:{taken_udp}")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"live777py: cannot listen on UDP 127.0.0.1:{taken_udp}: Address already in use\n"


def test_a_tcp_port_of_media_in_use_is_one_line_and_1(taken_tcp: int) -> None:
    result = _run(
        LIVE777_HTTP_LISTEN="127.0.0.1:0",
        LIVE777_WEBRTC_ICE_UDP_ADDRS="127.0.0.1:0",
        LIVE777_WEBRTC_ICE_TCP_ADDRS=f"127.0.0.1:{taken_tcp}",
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"live777py: cannot listen on TCP 127.0.0.1:{taken_tcp}: Address already in use\n"


def test_an_external_address_that_nobody_can_tell_is_2(tmp_path: Path) -> None:
    path = tmp_path / "live777.toml"
    path.write_text("[webrtc]\nexternal_addrs = ['auto']\n")
    for command in (("check",), ()):
        result = _run(*command, "-c", str(path), LIVE777_WEBRTC_ICE_UDP_ADDRS="127.0.0.1:0")
        assert result.returncode == cli.WRONG_CONFIG
        assert result.stderr == (
            'live777py: webrtc.external_addrs: "auto" needs a STUN server: webrtc.external_stun, or a stun: URL in '
            "ice_servers\n"
        )


def test_an_address_of_another_machine_is_one_line_and_1() -> None:
    result = _run(LIVE777_HTTP_LISTEN="192.0.2.1:7777", LIVE777_WEBRTC_ICE_UDP_ADDRS="127.0.0.1:0")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "live777py: cannot listen on TCP 192.0.2.1:7777: Cannot assign requested address\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a right")
def test_a_missing_permission_is_one_line_and_1() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("every port is open to everybody here")
    script = (
        "import os, sys\n"
        "from live777py import app, cli\n"
        "os.chdir('/'); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(cli.main([]))\n"
    )
    result = _run(program=("-c", script), LIVE777_HTTP_LISTEN="127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr == "live777py: cannot listen on TCP 127.0.0.1:1: Permission denied\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with running_gateway(tmp_path) as gateway, aiohttp.ClientSession() as client:
        # A session, and a connection that stays open.
        headers = {"Content-Type": "application/sdp"}
        async with client.post(f"{gateway.url}/whip/cam", data=offer("opus", "vp8"), headers=headers) as response:
            assert response.status == 201
        began = time.monotonic()
        gateway.process.send_signal(number)
        assert await asyncio.wait_for(gateway.process.wait(), STOP_LIMIT) == 0
        assert time.monotonic() - began < STOP_LIMIT
    assert not any("Traceback" in line for line in gateway.log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_imports_ends_it_with_0_and_no_word(tmp_path: Path, number: signal.Signals) -> None:
    """The import of the command line sends itself the signal."""
    (tmp_path / "argparse.py").write_text(
        f"import os\nos.kill(os.getpid(), {number.value})\nimport time\ntime.sleep(30)\n"
    )
    result = _run(PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


async def test_a_request_that_never_ends_does_not_hold_it_up(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /whip/cam HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0"
        )
        await writer.drain()
        assert await gateway.get("/api/streams/") == []
        gateway.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(gateway.process.wait(), STOP_LIMIT) == 0
        writer.close()


async def test_it_says_where_it_is(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, config="[rtsp]\nmax_connections = 1\n") as gateway:
        assert gateway.log[-2].startswith(f"live777py {live777py.__version__}: web page {gateway.url}/")
        assert gateway.log[-1].endswith(f": {gateway.url}/whip/demo")
        (warning,) = [line for line in gateway.log if " WARN " in line]
        assert warning.endswith("without effect: rtsp")
