from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from flexiroaster.auth import throttle as module
from flexiroaster.auth.errors import Throttled
from flexiroaster.auth.shared_throttle import KNOWN_SECONDS, SharedThrottle
from flexiroaster.auth.throttle import LoginThrottle, RequestRate, Throttle
from flexiroaster.bus.redis import RedisLink
from tests.redis_server import RedisServer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["local", "redis"])
def throttle(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Throttle]:
    if request.param == "local":
        yield LoginThrottle(clock)
        return
    link = connected(request.getfixturevalue("redis_server"))
    yield SharedThrottle(link, b"k" * 32, LoginThrottle(clock), clock)
    link.stop()


def connected(server: RedisServer) -> RedisLink:
    link = RedisLink(server.url, "db", b"k" * 32)
    link.start(lambda text: None, lambda: None, lambda: None)
    for _ in range(600):
        if link.evaluate("return '1'", [], []):
            return link
        threading.Event().wait(0.05)
    raise AssertionError(link.trouble)


def admitted(throttle: Throttle, account: str, address: str) -> bool:
    try:
        throttle.admit(account, address)
    except Throttled:
        return False
    return True


def wait(throttle: Throttle, account: str, address: str) -> int:
    with pytest.raises(Throttled) as caught:
        throttle.admit(account, address)
    return caught.value.retry_after_seconds


def test_five_failures_are_free_then_waits_double(throttle: Throttle, clock: Clock) -> None:
    assert all(admitted(throttle, "ada", "10.0.0.1") for _ in range(5))
    waits = []
    for _ in range(9):
        waits.append(wait(throttle, "ada", "10.0.0.1"))
        clock.now += waits[-1]
        throttle.admit("ada", "10.0.0.1")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_refused_attempt_does_not_lengthen_the_wait(throttle: Throttle, clock: Clock) -> None:
    for _ in range(5):
        throttle.admit("ada", "10.0.0.1")
    assert [wait(throttle, "ada", "10.0.0.1") for _ in range(50)] == [1] * 50


def test_success_forgets_the_failures(throttle: Throttle) -> None:
    for _ in range(20):
        for _ in range(4):
            throttle.admit("ada", "10.0.0.1")
        throttle.succeeded("ada", "10.0.0.1")
    assert admitted(throttle, "ada", "10.0.0.1")


def test_failures_are_forgotten_after_an_hour(throttle: Throttle, clock: Clock) -> None:
    for _ in range(5):
        throttle.admit("ada", "10.0.0.1")
    clock.now += module.FORGET_SECONDS + 1
    assert all(admitted(throttle, "ada", "10.0.0.1") for _ in range(5))


def test_one_address_cannot_try_many_accounts(throttle: Throttle) -> None:
    tried = [admitted(throttle, f"user{number}", "10.0.0.1") for number in range(100)]
    assert tried == [True] * 20 + [False] * 80
    assert admitted(throttle, "user1", "10.0.0.2")


def test_ipv6_neighbours_and_mapped_addresses_count_as_one(throttle: Throttle) -> None:
    tried = [admitted(throttle, f"user{number}", f"2001:db8::{number:x}") for number in range(100)]
    assert tried.count(True) == 20
    for _ in range(5):
        throttle.admit("ada", "::ffff:10.0.0.9")
    assert not admitted(throttle, "ada", "10.0.0.9")


def test_attempts_at_once_are_counted_before_their_result(throttle: Throttle) -> None:
    admissions: list[bool] = []
    threads = [
        threading.Thread(target=lambda: admissions.append(admitted(throttle, "ada", "10.0.0.1"))) for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert admissions.count(True) == 5


def flood(throttle: Throttle, account: str, addresses: int) -> int:
    return sum(admitted(throttle, account, f"10.1.{number // 250}.{number % 250}") for number in range(addresses))


def test_a_crowd_of_addresses_is_slowed_down(throttle: Throttle) -> None:
    assert flood(throttle, "ada", 1000) == module.CROWD_PER_ACCOUNT


def test_others_cannot_lock_the_owner_out(throttle: Throttle, clock: Clock) -> None:
    flood(throttle, "ada", 1000)
    seconds = wait(throttle, "ada", "192.0.2.7")
    assert seconds <= module.CROWD_WAIT
    flood(throttle, "ada", 1000)
    clock.now += seconds
    flood(throttle, "ada", 1000)
    assert admitted(throttle, "ada", "192.0.2.7")


def test_an_address_that_signed_in_before_is_not_slowed_by_the_crowd(throttle: Throttle) -> None:
    throttle.admit("ada", "192.0.2.7")
    throttle.succeeded("ada", "192.0.2.7")
    flood(throttle, "ada", 1000)
    for number in range(100):
        admitted(throttle, f"user{number}", "192.0.2.7")
    assert admitted(throttle, "ada", "192.0.2.7")


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle = LoginThrottle(clock)
    monkeypatch.setattr(module, "REMEMBERED", 50)
    for number in range(500):
        admitted(throttle, f"user{number}", f"10.{number % 200}.0.{number // 200}")
        throttle.succeeded(f"user{number}", f"10.{number % 200}.0.{number // 200}")
    assert len(throttle._known) <= 50
    assert len(throttle._accounts._counts) <= 50


def test_a_user_may_ask_in_a_burst_and_then_at_their_rate(clock: Clock) -> None:
    rate = RequestRate(clock, per_second=2, burst=5, what="executions started")

    def taken(user: str, times: int) -> int:
        count = 0
        for _ in range(times):
            try:
                rate.take(user)
                count += 1
            except Throttled as error:
                assert error.retry_after_seconds == 1
        return count

    assert taken("ada", 20) == 5
    assert taken("bob", 5) == 5
    clock.now += 1
    assert taken("ada", 20) == 2
    clock.now += 100
    assert taken("ada", 20) == 5


def test_servers_count_together_and_each_by_itself_while_redis_is_away(redis_server: RedisServer) -> None:
    links = [connected(redis_server) for _ in range(2)]
    here, there = (SharedThrottle(link, b"k" * 32, LoginThrottle(Clock())) for link in links)
    assert [admitted(one, "ada", "10.0.0.1") for one in (here, there) * 4] == [True] * 5 + [False] * 3
    redis_server.kill()
    assert [admitted(one, "ada", "10.0.0.1") for one in (here, there) * 6] == [True] * 10 + [False] * 2
    for link in links:
        link.stop()


def test_redis_sees_neither_accounts_nor_addresses_and_forgets(redis_server: RedisServer) -> None:
    link = connected(redis_server)
    throttle = SharedThrottle(link, b"k" * 32, LoginThrottle(Clock()))
    flood(throttle, "judy", 40)
    throttle.admit("mallory", "192.0.2.7")
    throttle.succeeded("mallory", "192.0.2.7")
    with redis_server.client() as client:
        names = client.keys()
        assert len(names) > 60
        assert all(name.startswith("flexiroaster:db:sign-in:") for name in names)
        assert not any(word in name for name in names for word in ("judy", "mallory", "10.1.", "192."))
        assert all(0 < client.ttl(name) <= KNOWN_SECONDS for name in names)
    link.stop()
