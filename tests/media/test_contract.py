"""What control relies on, of the real engine and of the fake alike: ids, errors, one queue, the end."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import pytest

from live777py.media import native
from live777py.media.addresses import SocketAddress
from tests.fakes import media as fake_media

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 5.0


class Conversation:
    """Commands numbered by themselves, each answered before the next."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.engine = module.Engine(sockets=[["127.0.0.1:0"], ["127.0.0.1:0", "127.0.0.1:0"]])
        self.requests = 0

    def ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        self.requests += 1
        getattr(self.engine, command)(self.requests, *arguments, **options)
        (answer,) = self.responses(1)
        assert answer.request == self.requests
        return answer

    def responses(self, count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            assert select.select([self.engine.fileno()], [], [], TIMEOUT)[0], "no answer"
            found += [item for item in self.engine.poll() if isinstance(item, self.module.Response)]
        return found

    def ice(self, ufrag: str = "abcd") -> Any:
        return self.module.IceParameters(role="lite", local_ufrag=ufrag, local_pwd="p" * 24)

    def codec(self, **changes: Any) -> Any:
        return self.module.CodecParameters(**{"payload_type": 96, "name": "VP8", "clock_rate": 90000, **changes})

    def track(self) -> Any:
        return self.module.TrackParameters(
            kind="video",
            mid="0",
            codecs=[self.codec(nack=True, pli=True)],
            encodings=[self.module.EncodingParameters(ssrc=1)],
            local_ssrc=7,
        )

    def subscription(self) -> Any:
        return self.module.SubscriptionParameters(
            kind="video", mid="0", ssrc=2, cname="viewer", codecs=[self.codec(payload_type=100)]
        )


@pytest.fixture(params=["fake", "real"])
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    if request.param == "real" and native.Engine is fake_media.Engine:  # type: ignore[comparison-overlap]
        pytest.skip("the media engine is not built: make ext")
    conversation = Conversation(fake_media if request.param == "fake" else native)
    yield conversation
    conversation.engine.close()


def test_ephemeral_ports_are_told(talk: Conversation) -> None:
    addresses = [[SocketAddress.parse(address) for address in worker] for worker in talk.engine.addresses()]
    assert [len(worker) for worker in addresses] == [1, 2]
    assert len({address.port for worker in addresses for address in worker} - {0}) == 3


def test_an_address_in_use_is_an_os_error(talk: Conversation) -> None:
    with pytest.raises(OSError, match="in use") as taken:
        talk.module.Engine(sockets=[[talk.engine.addresses()[0][0]]])
    assert taken.value.errno


def test_tcp_is_listened_for_beside_udp(talk: Conversation) -> None:
    assert talk.engine.tcp_addresses() == [[], []]
    other = talk.module.Engine(sockets=[["127.0.0.1:0"], ["[::1]:0"]], listeners=[["127.0.0.1:0", "[::1]:0"], []])
    try:
        first, second = other.tcp_addresses()
        assert ([SocketAddress.parse(address).ip.version for address in first], second) == ([4, 6], [])
        assert not set(first) & {address for worker in other.addresses() for address in worker}
    finally:
        other.close()


@pytest.mark.parametrize("listeners", [[["127.0.0.1:0"]], [["127.0.0.1:0"], ["localhost:1"]], [["127.0.0.1"], []]])
def test_listeners_are_addresses_for_each_worker(talk: Conversation, listeners: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        talk.module.Engine(sockets=[["127.0.0.1:0"], ["127.0.0.1:0"]], listeners=listeners)


def test_a_session_from_open_to_close(talk: Conversation) -> None:
    assert talk.ask("open_transport", 1, worker=0, ice=talk.ice()).error is None
    assert talk.ask("add_track", 1, 10, parameters=talk.track()).error is None
    assert talk.ask("open_transport", 2, worker=0, ice=talk.ice("efgh")).error is None
    assert talk.ask("subscribe", 2, 20, parameters=talk.subscription()).error is None
    assert talk.ask("attach", 20, 10, payload_types=[(96, 100)]).error is None
    assert talk.ask("request_key_frame", 10).error is None
    assert talk.ask("select_layer", 20, rid="h").error is None
    assert talk.ask("select_layer", 20, rid=None).error is None
    assert talk.ask("pause", 20, paused=True).error is None
    assert talk.ask("pause", 20, paused=False).error is None
    assert talk.ask("detach", 20).error is None
    assert talk.ask("add_remote_candidate", 2, address="127.0.0.1:9", priority=1).error is None
    assert talk.ask("restart_ice", 2, ice=talk.ice("ijkl")).error is None
    keys = {"profile": "AEAD_AES_128_GCM", "local_key": bytes(16), "local_salt": bytes(12)}
    keys |= {"remote_key": bytes(range(16)), "remote_salt": bytes(12)}
    assert talk.ask("install_keys", 1, **keys).error is None
    assert talk.ask("install_keys", 1, **keys).error == "invalid_state"
    assert talk.ask("close_transport", 1).error is None
    assert talk.ask("request_key_frame", 10).error == "unknown_id"
    assert talk.ask("detach", 20).error is None
    assert talk.ask("close_transport", 2).error is None


def test_what_does_not_exist_is_unknown(talk: Conversation) -> None:
    for command in ("close_transport", "detach", "request_key_frame"):
        answer = talk.ask(command, 99)
        assert (answer.error, bool(answer.message)) == ("unknown_id", True), command
    assert talk.ask("add_track", 99, 10, parameters=talk.track()).error == "unknown_id"
    assert talk.ask("subscribe", 99, 20, parameters=talk.subscription()).error == "unknown_id"
    assert talk.ask("attach", 20, 10, payload_types=[(96, 100)]).error == "unknown_id"
    assert talk.ask("select_layer", 20, rid="h").error == "unknown_id"
    assert talk.ask("pause", 20, paused=True).error == "unknown_id"
    assert talk.ask("add_remote_candidate", 99, address="127.0.0.1:9", priority=1).error == "unknown_id"
    assert talk.ask("restart_ice", 99, ice=talk.ice()).error == "unknown_id"
    talk.engine.send_dtls(99, b"\x16")


def test_a_number_names_one_thing(talk: Conversation) -> None:
    talk.ask("open_transport", 1, worker=0, ice=talk.ice())
    assert talk.ask("open_transport", 1, worker=0, ice=talk.ice("efgh")).error == "id_in_use"
    talk.ask("add_track", 1, 10, parameters=talk.track())
    assert talk.ask("add_track", 1, 10, parameters=talk.track()).error == "id_in_use"


def test_a_transport_can_have_sockets_to_itself(talk: Conversation) -> None:
    shared = [SocketAddress.parse(address) for address in talk.engine.addresses()[1]]
    assert talk.ask("open_transport", 1, worker=1, ice=talk.ice()).value == []
    own = [
        [SocketAddress.parse(address) for address in talk.ask("open_transport", number, **options).value]
        for number, options in (
            (2, {"worker": 1, "ice": talk.ice("efgh"), "own_socket": True}),
            (3, {"worker": 1, "ice": talk.ice("ijkl"), "own_socket": True}),
        )
    ]
    assert [[address.ip for address in sockets] for sockets in own] == [[address.ip for address in shared]] * 2
    assert len({*shared, *own[0], *own[1]}) == 6
    assert talk.ask("open_transport", 9, worker=7, ice=talk.ice("mnop"), own_socket=True).error == "invalid_argument"
    assert talk.ask("discover_reflexive", 2, server="192.0.2.1:3478").error is None
    assert talk.ask("discover_reflexive", 9, server="192.0.2.1:3478").error == "unknown_id"
    with pytest.raises(ValueError, match=r"example\.org"):
        talk.engine.discover_reflexive(1, 2, server="example.org:port")
    assert talk.ask("close_transport", 2).error is None
    again = talk.module.Engine(sockets=[[str(own[0][0])]])
    again.close()


def test_answers_come_in_the_order_of_the_commands(talk: Conversation) -> None:
    for request in range(1, 101):
        talk.engine.dump(request)
    assert [answer.request for answer in talk.responses(100)] == list(range(1, 101))


def test_stats_and_dump_have_values(talk: Conversation) -> None:
    talk.ask("open_transport", 1, worker=1, ice=talk.ice())
    assert isinstance(talk.ask("stats").value, talk.module.Stats)
    assert isinstance(talk.ask("dump").value, str)
    assert talk.ask("close_transport", 1).value is None


def test_a_candidate_without_a_port_fails_at_the_call(talk: Conversation) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        talk.engine.add_remote_candidate(1, 1, address="127.0.0.1", priority=1)


@pytest.mark.parametrize("payload_type", [-1, 128, 1000])
def test_a_malformed_argument_fails_at_the_call(talk: Conversation, payload_type: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        talk.codec(payload_type=payload_type)


def test_keys_of_a_wrong_length_fail_at_the_call(talk: Conversation) -> None:
    keys = {"profile": "AEAD_AES_128_GCM", "local_key": bytes(15), "local_salt": bytes(12)}
    keys |= {"remote_key": bytes(16), "remote_salt": bytes(12)}
    with pytest.raises(ValueError, match="key"):
        talk.engine.install_keys(1, 1, **keys)


def test_nothing_is_answered_after_close(talk: Conversation) -> None:
    talk.engine.close()
    talk.engine.close()
    for command in (talk.engine.stats, talk.engine.dump):
        with pytest.raises(talk.module.EngineClosed):
            command(1)


def test_taps_and_sources(talk: Conversation) -> None:
    parameters = talk.module.SourceParameters(codec=talk.codec())
    assert talk.ask("open_source", 50, worker=1, parameters=parameters).error is None
    assert talk.ask("open_source", 50, worker=1, parameters=parameters).error == "id_in_use"
    assert talk.ask("open_source", 51, worker=7, parameters=parameters).error == "invalid_argument"
    assert talk.ask("open_tap", 60, 50, capacity=1000).error is None
    assert talk.ask("open_tap", 60, 50, capacity=1000, interval_ms=100).error == "id_in_use"
    assert talk.ask("open_tap", 61, 99, capacity=1000).error == "unknown_id"
    assert talk.ask("close_tap", 60).error is None
    assert talk.ask("close_tap", 60).error == "unknown_id"
    talk.engine.write_frame(50, b"\x10\x02", timestamp=0, key_frame=True)
    talk.engine.write_frame(99, b"\x10\x02", timestamp=0, wallclock=1.0, key_frame=True)
    assert talk.ask("close_source", 50).error is None
    assert talk.ask("close_source", 50).error == "unknown_id"
