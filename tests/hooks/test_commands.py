"""Programs run on events: real ones, which write down what they were given."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
from typing import TYPE_CHECKING

import psutil
import pytest

from live777py.config import parse
from live777py.config.values import is_stream_name
from live777py.hooks import commands
from live777py.hooks.commands import HookRunner
from live777py.streams.bus import EventBus
from live777py.streams.events import (
    PublishStarted,
    PublishStopped,
    SessionStateChanged,
    StreamCreated,
    StreamDeleted,
    SubscriberJoined,
)
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from live777py.streams.events import StreamEvent

WRITE_DOWN = """\
#!/bin/sh
# One line: every argument, then every variable of the gateway, in angle brackets.
{ for word in "$0" "$@"; do printf '<%s>' "${word##*/}"; done
  for name in EVENT STREAM REASON SESSION; do eval "printf '{%s}' \\"\\${LIVE777_$name-unset}\\""; done
  echo; } >> "$OUT"
"""


class Workshop:
    """A bus with a runner, and a directory with the programs' files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bus = EventBus()
        self.runner: HookRunner | None = None

    def program(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def run(self, config: str) -> HookRunner:
        self.runner = HookRunner(self.bus, parse(config, {}))
        self.runner.start()
        return self.runner

    def say(self, *events: StreamEvent) -> None:
        for event in events:
            self.bus.publish(event)

    def read(self, name: str = "out") -> list[str]:
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []

    async def lines(self, count: int, name: str = "out") -> list[str]:
        async def written() -> list[str] | None:
            lines = self.read(name)
            return lines if len(lines) >= count else None

        return await eventually(written)


@pytest.fixture
async def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workshop]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    for name in ("EVENT", "STREAM", "REASON", "SESSION"):
        monkeypatch.delenv(f"LIVE777_{name}", raising=False)
    workshop = Workshop(tmp_path)
    yield workshop
    if workshop.runner is not None:
        await workshop.runner.stop()


async def test_what_a_program_is_told(workshop: Workshop) -> None:
    """The words are Live777's."""
    program = workshop.program("tell", WRITE_DOWN)
    keys = ("on_stream_created", "on_stream_deleted", "on_publish_started", "on_publish_stopped")
    workshop.run("[hooks]\n" + "".join(f"{key} = ['{program}']\n" for key in keys))
    workshop.say(
        StreamCreated(stream="cam"),
        SessionStateChanged(stream="cam", session="1", state="connected"),
        PublishStarted(stream="cam", session="1"),
        SubscriberJoined(stream="cam", session="2"),
        PublishStopped(stream="cam", session="1", reason="peer-closed"),
        StreamDeleted(stream="cam", reason="orphaned"),
    )
    assert await workshop.lines(4) == [
        "<tell><stream-created><cam>{stream-created}{cam}{unset}{unset}",
        "<tell><publish-started><cam>{publish-started}{cam}{unset}{1}",
        "<tell><publish-stopped><cam><peer-closed>{publish-stopped}{cam}{peer-closed}{1}",
        "<tell><stream-deleted><cam><orphaned>{stream-deleted}{cam}{orphaned}{unset}",
    ]


@pytest.mark.parametrize(
    "name",
    ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "'\"$IFS&|<>*?", "-rf", "--help", "%s%n", "日本 語", "$OUT"],
)
async def test_a_name_is_inert(workshop: Workshop, name: str) -> None:
    """S09: an argument and a variable, never a piece of a command."""
    assert is_stream_name(name)
    program = workshop.program("tell", WRITE_DOWN)
    workshop.run(f"[hooks]\non_stream_created = ['{program}']\n")
    workshop.say(StreamCreated(stream=name))
    assert await workshop.lines(1) == [f"<tell><stream-created><{name}>{{stream-created}}{{{name}}}{{unset}}{{unset}}"]
    assert {path.name for path in workshop.directory.iterdir()} == {"tell", "out"}


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\rb", "a\x1b[m", "a/b", "a\u2028b", ".."])
def test_what_could_be_read_as_two_lines_is_no_name(name: str) -> None:
    assert not is_stream_name(name)


async def test_one_after_the_other_in_a_stream_and_side_by_side_across_streams(workshop: Workshop) -> None:
    """The program of the stream `slow` waits for a file that the one of `quick` makes."""
    first = workshop.program(
        "first", '#!/bin/sh\n[ "$2" = slow ] && { cat gate > /dev/null; }\necho "$2 1 $1" >> "$OUT"\n'
    )
    second = workshop.program("second", '#!/bin/sh\necho "$2 2 $1" >> "$OUT"\n[ "$2" = quick ] && echo > gate\n')
    os.mkfifo(workshop.directory / "gate")
    config = (
        f"[hooks]\non_stream_created = ['{first}']\non_publish_started = ['{second}']\n"
        f"[stream.slow.hooks]\non_stream_created = ['{second}']\n"
    )
    workshop.run(config)
    for stream in ("slow", "quick"):
        workshop.say(StreamCreated(stream=stream), PublishStarted(stream=stream, session="1"))
    lines = await workshop.lines(5)
    assert [line for line in lines if line.startswith("slow")] == [
        "slow 1 stream-created",
        "slow 2 stream-created",
        "slow 2 publish-started",
    ]
    assert [line for line in lines if line.startswith("quick")] == [
        "quick 1 stream-created",
        "quick 2 publish-started",
    ]
    assert lines[0].startswith("quick")


@pytest.mark.parametrize(
    ("on_error", "failing", "why", "expected"),
    [
        ("stop", "#!/bin/sh\nexit 3\n", "ended with exit status 3", ["after PublishStarted"]),
        ("continue", "#!/bin/sh\nexit 3\n", "ended with exit status 3", ["next", "after PublishStarted"]),
        ("continue", "#!/bin/sh\nkill -9 $$\n", "ended by signal 9", ["next", "after PublishStarted"]),
        ("continue", "no interpreter", "cannot be run: Exec format error", ["next", "after PublishStarted"]),
        ("stop", "#!/nowhere\n", "cannot be run: No such file or directory", ["after PublishStarted"]),
    ],
)
async def test_a_failure_ends_the_event_or_not(
    workshop: Workshop, on_error: str, failing: str, why: str, expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    bad = workshop.program("bad", failing)
    following = workshop.program("next", '#!/bin/sh\necho next >> "$OUT"\n')
    after = workshop.program("after", '#!/bin/sh\necho after PublishStarted >> "$OUT"\n')
    workshop.run(
        f"[hooks]\non_error = '{on_error}'\non_stream_created = ['{bad}', '{following}']\n"
        f"on_publish_started = ['{after}']\n"
    )
    workshop.say(StreamCreated(stream="cam"), PublishStarted(stream="cam", session="1"))
    assert await workshop.lines(len(expected)) == expected
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"stream-created: {bad} {why}"
    ]


async def test_without_descriptors_the_next_event_has_its_programs(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    program = workshop.program("tell", WRITE_DOWN)
    runner = workshop.run(f"[hooks]\non_stream_created = ['{program}']\non_stream_deleted = ['{program}']\n")
    with monkeypatch.context() as patched:
        patched.setattr("live777py.hooks.process.os.pipe", no_pipe)
        workshop.say(StreamCreated(stream="cam"))

        async def said() -> bool:
            return "cannot be run: Too many open files" in caplog.text

        await eventually(said)
    workshop.say(StreamDeleted(stream="cam", reason="orphaned"))
    assert [line.partition("{")[0] for line in await workshop.lines(1)] == ["<tell><stream-deleted><cam><orphaned>"]
    assert runner.given_up == 0


async def test_too_long_kills_the_whole_group(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    """The program and its child ignore every polite signal."""
    stubborn = workshop.program(
        "stubborn",
        "#!/bin/sh\ntrap '' TERM INT HUP\n"
        'sh -c \'trap "" TERM INT HUP; echo $$ >> "$OUT"; while :; do sleep 60; done\''
        " &\n"
        'echo $$ >> "$OUT"\nwait\n',
    )
    workshop.run(f"[hooks]\ntimeout_ms = 700\non_stream_created = ['{stubborn}']\n")
    workshop.say(StreamCreated(stream="cam"))
    pids = [int(line) for line in await workshop.lines(2)]

    async def none_left() -> bool:
        return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)

    await eventually(none_left)

    async def logged() -> bool:
        return f"{stubborn} took longer than 0.7 s and was killed" in caplog.text

    await eventually(logged)
    assert not psutil.Process().children(recursive=True)


async def test_what_goes_on_in_the_background_is_left_alone(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds the program's output, and the next program runs all the same."""
    caplog.set_level(logging.DEBUG)
    starter = workshop.program(
        "starter", '#!/bin/sh\n(read line < gate; echo "background: $line") &\necho started; echo oops >&2\n'
    )
    following = workshop.program("next", '#!/bin/sh\necho next >> "$OUT"\necho go > gate\n')
    os.mkfifo(workshop.directory / "gate")
    workshop.run(f"[hooks]\non_stream_created = ['{starter}', '{following}']\n")
    workshop.say(StreamCreated(stream="cam"))

    async def logged() -> bool:
        return "| background: go" in caplog.text

    await eventually(logged)
    assert workshop.read() == ["next"]
    assert "| started" in caplog.text
    assert "| oops" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_output_is_bounded(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    noisy = workshop.program(
        "noisy",
        "#!/bin/sh\nhead -c 5000 /dev/zero | tr '\\0' x\necho\nseq 1000\nprintf unfinished\necho done > \"$OUT\"\n",
    )
    workshop.run(f"[hooks]\non_stream_created = ['{noisy}']\n")
    workshop.say(StreamCreated(stream="cam"))
    await workshop.lines(1)

    async def logged() -> bool:
        return "what follows is not logged" in caplog.text

    await eventually(logged)
    lines = [message for record in caplog.records if (message := record.getMessage()).startswith("| ")]
    assert len(lines) == 201
    assert lines[0] == "| " + "x" * 1000
    assert lines[1] == "| 1"


async def test_too_many_waiting_lose_the_oldest(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commands, "MAX_WAITING", 2)
    program = workshop.program("tell", '#!/bin/sh\necho "$LIVE777_SESSION" >> "$OUT"\n')
    runner = workshop.run(f"[hooks]\non_publish_started = ['{program}']\n")
    workshop.say(*(PublishStarted(stream="cam", session=str(number)) for number in range(5)))
    assert await workshop.lines(2) == ["3", "4"]
    assert runner.given_up == 3
    assert "no programs are run for 1 events: 2 others wait" in caplog.text


async def test_events_that_the_bus_forgot_are_counted(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commands, "CAPACITY", 2)
    program = workshop.program("tell", '#!/bin/sh\necho "$2" >> "$OUT"\n')
    runner = workshop.run(f"[hooks]\non_stream_created = ['{program}']\n")
    workshop.say(*(StreamCreated(stream=str(number)) for number in range(5)))
    assert sorted(await workshop.lines(2)) == ["3", "4"]
    assert runner.given_up == 3
    assert "no programs are run for 3 events: too many events at once" in caplog.text


async def test_other_programs_after_a_reload(workshop: Workshop) -> None:
    old, new = (workshop.program(name, f'#!/bin/sh\necho {name} "$2" >> "$OUT"\n') for name in ("old", "new"))
    runner = workshop.run(f"[hooks]\non_stream_created = ['{old}']\n")
    workshop.say(StreamCreated(stream="one"))
    assert await workshop.lines(1) == ["old one"]
    runner.reconfigure(parse(f"[hooks]\non_stream_created = ['{new}']\n", {}))
    workshop.say(StreamCreated(stream="two"))
    assert await workshop.lines(2) == ["old one", "new two"]


async def test_the_end(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is killed after the grace, what waits is not begun, and events of the shutdown run nothing."""
    monkeypatch.setattr(commands, "STOP_GRACE", 0.1)
    endless = workshop.program("endless", '#!/bin/sh\necho "$1" >> "$OUT"\nexec sleep 60\n')
    runner = workshop.run(
        f"[hooks]\ntimeout_ms = 0\non_publish_started = ['{endless}']\non_publish_stopped = ['{endless}']\n"
    )
    workshop.say(PublishStarted(stream="cam", session="1"), PublishStarted(stream="cam", session="2"))
    await workshop.lines(1)
    workshop.say(PublishStopped(stream="other", session="1", reason="shutdown"))
    async with asyncio.timeout(5):
        await runner.stop()
    workshop.runner = None
    assert workshop.read() == ["publish-started"]
    assert not psutil.Process().children(recursive=True)


async def test_at_the_end_nothing_is_begun(workshop: Workshop) -> None:
    """What runs ends by itself within the grace; the event that waits behind it is forgotten."""
    program = workshop.program("tell", '#!/bin/sh\necho "$LIVE777_SESSION" >> "$OUT"\nread line < gate\n')
    os.mkfifo(workshop.directory / "gate")
    runner = workshop.run(f"[hooks]\non_publish_started = ['{program}', '{program}']\n")
    workshop.say(PublishStarted(stream="cam", session="1"), PublishStarted(stream="cam", session="2"))
    await workshop.lines(1)
    stopping = asyncio.create_task(runner.stop())
    await asyncio.to_thread((workshop.directory / "gate").write_text, "go\n")
    await stopping
    assert workshop.read() == ["1"]


async def test_the_end_after_the_bus(workshop: Workshop) -> None:
    runner = workshop.run("")
    workshop.bus.close()
    await asyncio.sleep(0)
    await runner.stop()
    await runner.stop()


async def test_secrets_of_the_environment_stay_here(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE777_AUTH_TOKENS", "hunter2")
    monkeypatch.setenv("LIVE777_HTTP_LISTEN", "127.0.0.1:7777")
    monkeypatch.setenv("LIVE777_SESSION", "of somebody else")
    program = workshop.program("env", '#!/bin/sh\nenv >> "$OUT"\n')
    workshop.run(f"[hooks]\non_stream_created = ['{program}']\n")
    workshop.say(StreamCreated(stream="cam"))
    lines = await workshop.lines(4)
    assert "LIVE777_HTTP_LISTEN=127.0.0.1:7777" in lines
    assert not any("hunter2" in line or "somebody else" in line for line in lines)
