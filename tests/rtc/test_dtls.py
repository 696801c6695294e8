"""The DTLS of one session against another end of the same, over a line that may lose datagrams."""

from __future__ import annotations

import asyncio
import time

import pytest

from live777py.rtc.certificate import Certificate
from live777py.rtc.dtls import DtlsError, DtlsTransport
from live777py.rtc.srtp import SrtpKeys
from tests.rtc.dtls_peers import Line, restricted, rsa_certificate

OURS = Certificate.generate()
THEIRS = Certificate.generate()
WRONG = ("sha-256", ":".join(["AB"] * 32))


def agreed(outcome: tuple[SrtpKeys | BaseException, SrtpKeys | BaseException]) -> str:
    """The profile of both ends, whose keys fit each other."""
    server, client = outcome
    assert isinstance(server, SrtpKeys), server
    assert isinstance(client, SrtpKeys), client
    assert server.profile is client.profile
    assert (server.local_key, server.local_salt) == (client.remote_key, client.remote_salt)
    assert (server.remote_key, server.remote_salt) == (client.local_key, client.local_salt)
    return server.profile.engine_profile


async def test_both_ends_get_matching_keys() -> None:
    line = Line(OURS, THEIRS)
    assert agreed(await line.connect()) == "AEAD_AES_128_GCM"
    assert line.server.state == line.client.state == "connected"
    assert all(len(datagram) < 1200 for _, datagram in line.sent)


@pytest.mark.parametrize(
    ("theirs", "profile"),
    [
        (b"SRTP_AES128_CM_SHA1_80", "AES128_CM_HMAC_SHA1_80"),
        (b"SRTP_AEAD_AES_256_GCM", "AEAD_AES_256_GCM"),
        (b"SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80", "AES128_CM_HMAC_SHA1_80"),
        (b"SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", "AEAD_AES_128_GCM"),
    ],
)
async def test_our_preference_decides_as_a_server(theirs: bytes, profile: str) -> None:
    line = Line(OURS, restricted(Certificate.generate(), profiles=theirs))
    assert agreed(await line.connect()) == profile


async def test_without_a_common_profile_there_are_no_keys() -> None:
    line = Line(OURS, restricted(Certificate.generate(), profiles=b"SRTP_AES128_CM_SHA1_32"))
    server = (await line.connect())[0]
    assert isinstance(server, DtlsError)
    assert line.server.state == "failed"


@pytest.mark.parametrize("server_is_rsa", [True, False])
async def test_a_peer_may_have_an_rsa_certificate_in_either_role(*, server_is_rsa: bool) -> None:
    line = Line(rsa_certificate(), OURS) if server_is_rsa else Line(OURS, rsa_certificate())
    agreed(await line.connect())


@pytest.mark.parametrize("role", ["server", "client"])
async def test_a_wrong_fingerprint_yields_no_keys_in_either_role(role: str) -> None:
    line = Line(OURS, THEIRS)
    server, client = await line.connect(**{f"{role}_expects": [WRONG]})
    failed = server if role == "server" else client
    assert isinstance(failed, DtlsError)
    assert "fingerprint" in str(failed)
    (line.server if role == "server" else line.client).shutdown()
    async with asyncio.timeout(5):
        await line.ended.wait()
    assert line.closed == ["client" if role == "server" else "server"], "the other end is told"


async def test_all_fingerprints_that_we_can_check_must_match() -> None:
    good = [(item.algorithm, item.value) for item in THEIRS.getFingerprints()]
    agreed(await Line(OURS, THEIRS).connect(server_expects=[*good, ("sha-1", "00")]))
    agreed(await Line(OURS, THEIRS).connect(server_expects=[("SHA-256", good[0][1].lower())]))
    for bad in ([good[0], ("sha-512", good[2][1].replace(good[2][1][:2], "00", 1) + "0")], [("sha-1", "00")]):
        assert isinstance((await Line(OURS, THEIRS).connect(server_expects=bad))[0], DtlsError)


@pytest.mark.parametrize("sender", ["client", "server"])
async def test_a_lost_flight_costs_a_tenth_of_a_second_and_not_a_whole_one(sender: str) -> None:
    line = Line(OURS, THEIRS)
    line.deliver = lambda who, number: who != sender or number > 0
    began = time.monotonic()
    agreed(await line.connect())
    assert time.monotonic() - began < 0.5


async def test_every_third_datagram_may_be_lost() -> None:
    line = Line(OURS, THEIRS)
    line.deliver = lambda _who, number: number % 3 != 0
    agreed(await line.connect())


async def test_the_last_flight_is_repeated_when_the_client_asks_again() -> None:
    line = Line(OURS, THEIRS)
    line.deliver = lambda who, number: who != "server" or number != 1
    agreed(await line.connect())


async def test_noise_does_not_disturb_a_handshake() -> None:
    line = Line(OURS, THEIRS)
    for noise in (b"", b"\x16", b"\x16\xfe\xfd" + bytes(10), b"\x15" + bytes(64), b"\x80" + bytes(40)):
        line.server.datagram_received(noise)
        line.client.datagram_received(noise)
    agreed(await line.connect())


async def test_close_notify_reaches_the_other_end_once() -> None:
    line = Line(OURS, THEIRS)
    await line.connect()
    line.server.shutdown()
    line.server.shutdown()
    async with asyncio.timeout(5):
        await line.ended.wait()
    assert line.closed == ["client"]
    assert line.server.state == line.client.state == "closed"


async def test_a_goodbye_behind_data_in_one_datagram_is_heard() -> None:
    """RFC 6347 section 4.1.1: a datagram may hold several records."""
    line = Line(OURS, THEIRS)
    await line.connect()
    line.client._connection.send(b"data")
    line.client._connection.shutdown()
    line.server.datagram_received(line.client._connection.bio_read(2048))
    assert line.closed == ["server"]


async def test_a_second_handshake_changes_nothing() -> None:
    line = Line(OURS, THEIRS)
    await line.connect()
    count = len(line.sent)
    again = DtlsTransport(THEIRS, role="client", send=line.server.datagram_received, on_closed=lambda: None)
    knocking = asyncio.create_task(again.connect([OURS.fingerprint]))
    done, _ = await asyncio.wait([knocking], timeout=0.2)
    knocking.cancel()
    assert not done
    assert line.server.state == "connected"
    assert all(sender == "client" for sender, _ in line.sent[count:])


async def test_shutdown_ends_a_handshake_that_is_under_way() -> None:
    transport = DtlsTransport(OURS, role="client", send=lambda _: None, on_closed=lambda: None)
    connecting = asyncio.create_task(transport.connect([THEIRS.fingerprint]))
    await asyncio.sleep(0)
    transport.shutdown()
    with pytest.raises(DtlsError):
        await connecting


async def test_a_flood_before_the_handshake_is_bounded() -> None:
    transport = DtlsTransport(OURS, role="server", send=lambda _: None, on_closed=lambda: None)
    for _ in range(10_000):
        transport.datagram_received(bytes(1200))
    assert len(transport._link._queue) <= 32


async def held_back(line: Line, client: asyncio.Task[SrtpKeys]) -> None:
    """The server's handshake is done, and the client has not heard of it."""
    line.deliver = lambda who, number: who != "server" or number == 0
    async with asyncio.timeout(5):
        await line.server.connect([THEIRS.fingerprint])
    assert not client.done()


async def test_data_right_behind_the_handshake_is_heard() -> None:
    line = Line(OURS, THEIRS)
    client = asyncio.create_task(line.client.connect([OURS.fingerprint]))
    await held_back(line, client)
    line.server.send(b"early")
    line.server.send(b"birds")
    finished, *data = [datagram for who, datagram in line.sent if who == "server"][1:]
    line.client.datagram_received(data[0])
    line.client.datagram_received(finished)
    line.client.datagram_received(data[1])
    await client
    assert sorted(line.heard["client"]) == [b"birds", b"early"]


async def test_data_in_the_datagram_of_the_handshake_are_heard() -> None:
    line = Line(OURS, THEIRS)
    client = asyncio.create_task(line.client.connect([OURS.fingerprint]))
    await held_back(line, client)
    line.server.send(b"early")
    finished, data = [datagram for who, datagram in line.sent if who == "server"][1:]
    line.client.datagram_received(finished + data)
    await client
    assert line.heard["client"] == [b"early"]


async def test_a_goodbye_right_behind_the_handshake_is_heard() -> None:
    line = Line(OURS, THEIRS)
    client = asyncio.create_task(line.client.connect([OURS.fingerprint]))
    await held_back(line, client)
    line.server.shutdown()
    for datagram in [datagram for who, datagram in line.sent if who == "server"][1:]:
        line.client.datagram_received(datagram)
    with pytest.raises(DtlsError, match="at once"):
        await client
    assert line.closed == ["client"]
    assert line.client.state == "closed"


async def test_data_both_ways_and_none_before_or_after() -> None:
    line = Line(OURS, THEIRS)
    line.server.send(b"before")
    await line.connect()
    line.server.send(b"x" * 4000)
    line.client.send(b"y")
    async with asyncio.timeout(5):
        while not (line.heard["client"] and line.heard["server"]):  # noqa: ASYNC110 - the line carries on in between
            await asyncio.sleep(0)
    assert (line.heard["client"], line.heard["server"]) == ([b"x" * 4000], [b"y"])
    line.server.shutdown()
    count = len(line.sent)
    line.server.send(b"after")
    assert len(line.sent) == count
