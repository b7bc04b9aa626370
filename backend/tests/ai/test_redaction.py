from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.ai.redaction import Redaction
from tests.effort import bounded


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: hunter2", "hunter2"),
        ("DB_PASSWORD=hunter2;timeout=5", "hunter2"),
        ('{"api_key": "k-123 45"}', "k-123 45"),
        ("client-secret = 'abc def'", "abc def"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("postgresql://app:s3cr3t@db/orders", "s3cr3t"),
        ("redis://:s3cr3t@cache:6379/0", "s3cr3t"),
        ("key AKIAABCDEFGHIJKLMNOP used", "AKIAABCDEFGHIJKLMNOP"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123", "ghp_abcdefghijklmnopqrstuvwxyz0123"),
        ("sk-abcdefghijklmnop1234", "sk-abcdefghijklmnop1234"),
        ("cookie eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "eyJzdWIiOi"),
        ("mail to jane.doe@example.com failed", "jane.doe@example.com"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, secret: str) -> None:
    hidden = Redaction().hide(f"before\n{text}\nafter")
    assert secret not in hidden
    assert "REDACTED_1" in hidden
    assert hidden.startswith("before\n")


@pytest.mark.parametrize(
    "text",
    [
        "password: ${{ secrets.DB }}",
        'token: "${{ secrets.API }}"',
        "KeyError: 'customer_id' in row 12",
        "https://host.example/path?page=2",
        "SELECT * FROM orders WHERE id = 7",
        "secrets:\n  - DB",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction().hide(text) == text


def test_known_secrets_are_hidden_whatever_they_look_like() -> None:
    hidden = Redaction(("plain", "plain word", "")).hide("a plain word, plain")
    assert "plain" not in hidden
    assert hidden == "a REDACTED_1, REDACTED_2"


def test_a_value_comes_back_only_in_its_own_line() -> None:
    redaction = Redaction()
    text = "  password: hunter2\n  url: postgresql://app:s3cr3t@db/orders\n"
    hidden = redaction.hide(text)
    assert redaction.show(hidden) == (text, [])
    assert redaction.show("password: REDACTED_2") == ("password: hunter2", [])
    moved = "url: https://elsewhere/?x=REDACTED_1"
    assert redaction.show(moved) == (moved, [moved])
    redaction.hide(moved)
    assert redaction.show(moved) == (moved, [moved])


@given(
    st.lists(st.sampled_from(["password: a1b2c3", "x: 1", "token=abc", "hunter2 here", "a@b.example", ""]), max_size=6)
)
def test_hiding_twice_changes_nothing_and_showing_brings_back(lines: list[str]) -> None:
    redaction = Redaction(("hunter2",))
    text = "\n".join(lines)
    once = redaction.hide(text)
    assert redaction.hide(once) == once
    assert redaction.show(once) == (text, [])


@pytest.mark.parametrize("unit", ["a", "a-", "a.b@", "x://", "token", "eyJa.", "\\"])
def test_long_lines_are_no_trouble(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    with bounded():
        Redaction().hide(text)


@pytest.mark.parametrize(
    "value",
    ["4111 1111 1111 1111", "5500-0000-0000-0004", "DE89 3704 0044 0532 0130 00", "GB33BUKB20201555555555",
     "+49 (0) 170 1234567", "+15551234567"],
)  # fmt: skip
def test_numbers_that_belong_to_a_person_are_hidden(value: str) -> None:
    hidden = Redaction().hide(f"row 7: {value} is no amount")
    assert not {part for part in re.findall(r"\d{3,}", value) if part in hidden}


@pytest.mark.parametrize(
    "text",
    [
        "at 2026-01-05 10:00:00+00:00",
        "1700000000000 ms",
        "0195f0c2-7c1e-7a53-9d2e-0c3a5f1b2d4e",
        "+12 rows",
        "AB12 CDEF",
    ],
)
def test_numbers_of_machines_stay(text: str) -> None:
    assert Redaction().hide(text) == text
