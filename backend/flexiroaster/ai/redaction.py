"""What looks like a secret or a personal value is kept out of texts that leave.

It is put back into lines that come back unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|credential|authorization)[\w.-]{0,40}"
"""Bounded, like all below: long runs of letters must not take long."""
_PLACE = r"REDACTED_\d+"
_PATTERNS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    rf"(?i:\b(?:bearer|basic)\s+)(?!{_PLACE})(?P<value>[A-Za-z0-9._~+/=-]{{8,}})",
    r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*",
    r"(?i:\b[a-z][a-z0-9+.-]{0,20}://)(?P<value>[^\s/@:]{0,200}:[^\s/@]{1,500})@",
    # A reference to a secret is none itself, and what definitions are made of.
    rf"(?i:{_NAME}[\"']?)[ \t]*[:=][ \t]*(?!{_PLACE}|[\"']?\$\{{\{{|[|>\[{{&*]|(?i:bearer|basic)\s)"
    r"(?P<value>\"[^\"\n]+\"|'[^'\n]+'|[^\s,;&\"'}\]]+)",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_\w{20,}|\bglpat-[\w-]{16,}|\bsk-[\w-]{16,}|\bxox[abprs]-[\w-]{10,}",
    r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}",
    # Numbers of bank accounts (IBAN), of payment cards, and of telephones with the code of their country.
    r"\b[A-Z]{2}\d{2}(?=(?: ?[A-Z]{0,4}\d){6})(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    r"\b[2-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{1,7}\b",
    r"(?<![\w+])\+[1-9](?=(?:[ ./()-]{0,3}\d){7,14}(?!\d))[\d ./()-]{6,24}\d",
)
_COMPILED = tuple(re.compile(pattern, re.DOTALL) for pattern in _PATTERNS)
_PLACED = re.compile(rf"\b{_PLACE}\b")


class Redaction:
    """Of the texts of one talk: the same value has the same place, `REDACTED_1`, in all of them.

    `secrets` are values that must never leave, whatever they look like.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._places: dict[str, str] = {}
        self._lines: set[str] = set()

    @property
    def hidden(self) -> int:
        """How many values."""
        return len(self._places)

    def hide(self, text: str) -> str:
        """Hiding twice changes nothing."""
        before = {line.strip() for line in text.splitlines()}
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, self._place(secret))
        for pattern in _COMPILED:
            text = pattern.sub(self._replaced, text)
        # Only lines in which something was hidden just now: one that named a place before is none of ours.
        self._lines |= {line.strip() for line in text.splitlines() if _PLACED.search(line)} - before
        return text

    def show(self, text: str) -> tuple[str, list[str]]:
        """With the hidden values back where the whole line is one that was hidden; and the lines that put one anywhere
        else, which keep its name: whoever answers must not move a secret.
        """
        values = {place: value for value, place in self._places.items()}
        shown, moved = [], []
        for line in text.splitlines(keepends=True):
            places = _PLACED.findall(line)
            if places and line.strip() not in self._lines:
                moved.append(line.strip())
            elif places:
                line = _PLACED.sub(lambda match: values.get(match[0], match[0]), line)
            shown.append(line)
        return "".join(shown), moved

    def _replaced(self, match: re.Match[str]) -> str:
        name = "value" if "value" in match.re.groupindex else 0
        begin, end = match.span(name)
        whole, first = match[0], match.start()
        return whole[: begin - first] + self._place(match[name]) + whole[end - first :]

    def _place(self, value: str) -> str:
        return self._places.setdefault(value, f"REDACTED_{len(self._places) + 1}")
