from __future__ import annotations

import threading
import time

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from flexiroaster.auth import passwords as module
from flexiroaster.auth.errors import Throttled
from flexiroaster.auth.passwords import Passwords
from flexiroaster.engine.errors import InvalidRequest

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def cheap() -> Passwords:
    return Passwords(time_cost=1, memory_kib=64, parallelism=1)


def test_a_password_verifies_against_its_own_hash_alone(cheap: Passwords) -> None:
    known = cheap.hash("a quiet green river")
    assert cheap.verify("a quiet green river", known)
    assert not cheap.verify("a quiet green rivers", known)
    assert not cheap.verify("", known)


def test_the_default_is_argon2id_as_rfc_9106_recommends() -> None:
    parameters = extract_parameters(Passwords().hash("a quiet green river"))
    assert parameters.type is Type.ID
    assert (parameters.time_cost, parameters.memory_cost, parameters.parallelism) == (3, 65536, 4)


def test_nobody_has_no_password_but_takes_the_same_work() -> None:
    costly = Passwords(time_cost=8, memory_kib=8192, parallelism=1)
    known = costly.hash("a quiet green river")

    def seconds(known_hash: str | None) -> float:
        best = 9.0
        for _ in range(5):
            start = time.thread_time()
            assert not costly.verify("wrong password", known_hash)
            best = min(best, time.thread_time() - start)
        return best

    assert 0.5 < seconds(None) / seconds(known) < 2.0


def test_hashes_made_with_other_parameters_are_outdated(cheap: Passwords) -> None:
    assert cheap.is_outdated(PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash("a quiet green river"))
    assert not cheap.is_outdated(cheap.hash("a quiet green river"))


def test_the_same_text_composed_otherwise_is_the_same_password(cheap: Passwords) -> None:
    assert cheap.verify("cafe\u0301 au lait!", cheap.hash("caf\u00e9 au lait!"))


@pytest.mark.parametrize("password", ["x" * 1025, "lone \ud800 surrogate"])
def test_what_cannot_be_a_password_is_refused_not_crashed_on(cheap: Passwords, password: str) -> None:
    with pytest.raises(InvalidRequest):
        cheap.hash(password)
    assert not cheap.verify(password, cheap.hash("a quiet green river"))


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 10"),
        ("x" * 1025, "1024"),
        ("password123", "tried first"),
        ("PassWord123", "tried first"),
        ("aaaaaaaaaaaa", "tried first"),
        ("ada@example.com", "tried first"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(cheap: Passwords, password: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        cheap.check_policy(password, EMAIL)
    assert caught.value.code == "weak_password"


def test_an_ordinary_long_password_passes(cheap: Passwords) -> None:
    cheap.check_policy("correct horse battery staple", EMAIL)


def test_who_finds_no_slot_is_told_to_come_back(cheap: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(cheap, "_slots", threading.BoundedSemaphore(1))
    with cheap._slots, pytest.raises(Throttled):
        cheap.verify("a quiet green river", None)
    assert not cheap.verify("a quiet green river", None)
