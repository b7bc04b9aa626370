from __future__ import annotations

import base64

import pytest

from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.services.paging import Page, cut, decode, decode_moment, encode


def test_a_full_page_points_at_its_last_row() -> None:
    page = cut([1, 2, 3], 2, lambda row: [row])
    assert page.items == [1, 2]
    assert page.next_cursor is not None
    assert decode(page.next_cursor, [int]) == [2]
    assert cut([1, 2], 2, lambda row: [row]) == Page([1, 2], None)


def test_a_cursor_comes_back_as_it_was() -> None:
    position = ["2026-03-04T12:00:00+00:00", "ähnlich/%", 7]
    assert decode(encode(position), [str, str, int]) == position


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "ä",
        "!!!!",
        encode(["a", "b"]),
        encode([1]),
        encode(["a\0b"]),
        base64.urlsafe_b64encode(b"[true]").decode(),
        base64.urlsafe_b64encode(b'{"0": "a"}').decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_is_no_cursor_is_refused_with_a_cure(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="X-Next-Cursor"):
        decode(cursor, [str])


def test_a_number_too_large_for_the_database_is_no_cursor() -> None:
    with pytest.raises(InvalidRequest):
        decode(encode([2**31]), [int])


@pytest.mark.parametrize("moment", ["yesterday", "0001-01-01T00:00:00+23:00", 5])
def test_a_cursor_of_no_moment_is_refused(moment: str | int) -> None:
    with pytest.raises(InvalidRequest):
        decode_moment(moment, "cursor")
