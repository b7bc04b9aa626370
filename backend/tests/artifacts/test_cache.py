from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flexiroaster.artifacts.cache import ABANDONED_SECONDS, IN_USE_SECONDS, FileCache
from flexiroaster.artifacts.keys import UNFINISHED


def keep(cache: FileCache, key: str, size: int, *, idle: float = 0) -> Path:
    with cache.unfinished(key) as unfinished:
        unfinished.write_bytes(b"x" * size)
        path = cache.keep(unfinished, key)
    if idle:
        used(path, idle)
    return path


def used(path: Path, seconds_ago: float) -> None:
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def held(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 100)
    for age in (500, 400, 300):
        keep(cache, f"e{age}/data", 30, idle=age)
    assert cache.find("e500/data") is not None  # and is so the newest
    keep(cache, "new/data", 30)
    assert held(tmp_path) == {"e500/data", "e300/data", "new/data"}
    assert not (tmp_path / "e400").exists()
    assert cache.find("e400/data") is None


def test_it_never_grows_much_beyond_its_limit(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 1_000)
    for number in range(200):
        keep(cache, f"e/{number}", 10, idle=IN_USE_SECONDS + 1_000 - number)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1_060


def test_what_was_just_given_away_stays(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 10)
    for number in range(3):
        keep(cache, str(number), 30)
    assert held(tmp_path) == {"0", "1", "2"}
    used(tmp_path / "1", IN_USE_SECONDS + 1)
    keep(cache, "3", 30)
    assert held(tmp_path) == {"0", "2", "3"}


def test_processes_share_it(tmp_path: Path) -> None:
    one, other = FileCache(tmp_path, 100), FileCache(tmp_path, 100)
    keep(one, "e/data", 60, idle=100)
    assert other.find("e/data") == tmp_path / "e" / "data"
    used(tmp_path / "e" / "data", 100)
    keep(other, "f/data", 60)
    assert one.find("e/data") is None


def test_a_smaller_limit_holds_for_what_is_there(tmp_path: Path) -> None:
    keep(FileCache(tmp_path, 1_000), "old", 500, idle=100)
    keep(FileCache(tmp_path, 100), "new", 1)
    assert held(tmp_path) == {"new"}


def test_unfinished_files_go_with_their_block_or_after_days(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 10)
    with pytest.raises(ZeroDivisionError), cache.unfinished("e/data.csv.gz") as path:
        path.write_bytes(b"half")
        assert path.name.startswith(UNFINISHED)
        assert path.name.endswith(".csv.gz")
        _ = 1 / 0
    assert held(tmp_path) == set()
    for name, age in (("lost", ABANDONED_SECONDS + 10), ("written", ABANDONED_SECONDS - 100)):
        (tmp_path / f"{UNFINISHED}{name}").write_bytes(b"x" * 100)
        used(tmp_path / f"{UNFINISHED}{name}", age)
    keep(cache, "new", 100)
    assert held(tmp_path) == {f"{UNFINISHED}written", "new"}


def test_forgotten_is_gone(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 1_000)
    keep(cache, "one/deep/a", 1)
    keep(cache, "one-more/b", 1)
    cache.forget("one")
    cache.forget("absent")
    assert held(tmp_path) == {"one-more/b"}
    cache.forget("one-more/b")
    assert held(tmp_path) == set()
