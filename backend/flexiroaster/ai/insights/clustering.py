"""Lines that say the same in different words for one thing: `cluster(lines)` gives each line the id of its kind.

The masks alone put most lines together. What they leave apart, names of users or tables for instance, is found in the
lines themselves: texts that are equal but for one word, where that word takes many values, are one kind.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from flexiroaster.ai.insights.masks import HOLE, masked

VARIETY = 5
"""Different words in one place that make it a place for names."""
VARIETY_SHORT = 8
ENOUGH_WORDS = 3
"""Fewer words around that place say little about it."""
ROUNDS = 3
_TOKEN = re.compile(r"<\*>|\w[\w'-]*|[^\w\s]")

Tokens = tuple[str, ...]
Cell = tuple[Tokens, Tokens]


def cluster(lines: Iterable[str]) -> list[int]:
    """The id of each line's kind, counted from 0 in the order in which the kinds first appear."""
    known: dict[str, str] = {}
    texts = [known.get(line) or known.setdefault(line, masked(line)) for line in lines]
    kinds = merged(Counter(texts))
    ids: dict[str, int] = {}
    return [ids.setdefault(kinds[text], len(ids)) for text in texts]


def merged(texts: Iterable[str] | Mapping[str, int]) -> dict[str, str]:
    """Masked text → the text of its kind, in which a place for names is a `<*>` too."""
    tokens = {text: tuple(_TOKEN.findall(text)) for text in texts}
    kinds = {kind: kind for kind in tokens.values()}
    for _ in range(ROUNDS):
        wider = _places_for_names(set(kinds.values()))
        if not wider:
            break
        kinds = {own: wider.get(kind, kind) for own, kind in kinds.items()}
    return {text: text if kinds[own] == own else " ".join(kinds[own]) for text, own in tokens.items()}


def _places_for_names(kinds: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """Kind → the same with a hole in the place that takes most names, for those that have such a place."""
    words_at: dict[Cell, set[str]] = defaultdict(set)
    for kind in kinds:
        for place, token in enumerate(kind):
            if token == HOLE or _is_word(token):
                words_at[kind[:place], kind[place + 1 :]].add(token)
    best: dict[Tokens, tuple[int, Tokens]] = {}
    for (before, after), words in sorted(words_at.items()):
        if not _takes_names(before + after, words):
            continue
        wide = (*before, HOLE, *after)
        for word in words:
            kind = (*before, word, *after)
            best[kind] = max(best.get(kind, (0, ())), (len(words), wide))
    return {kind: wide for kind, (_, wide) in best.items()}


def _takes_names(around: Sequence[str], words: set[str]) -> bool:
    fixed = sum(_is_word(token) for token in around)
    if fixed == 0 or len(words) < 2:
        return False
    if fixed < ENOUGH_WORDS:
        return len(words) >= VARIETY_SHORT
    # Where a number or an id has been seen, a word is one too: "user 1043", "user anna".
    return HOLE in words or len(words) >= VARIETY


def _is_word(token: str) -> bool:
    return token[0].isalnum()
