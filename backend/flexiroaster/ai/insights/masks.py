"""What changes from one message to the next (numbers, paths, names of hosts, times), replaced by one sign."""

from __future__ import annotations

import re

HOLE = "<*>"
LONGEST = 2_000
"""Characters of a message that are looked at; the rest of a very long one seldom tells another error."""

_PATH = r"(?<![\w>.~])(?:[\w.~]*|[A-Za-z]:)(?:[/\\][\w.$%+~@:=?&,;#-]+)+[/\\]?"
_UNIT = r"(?:[KMGTP]?i?B|bytes?|[num]?s|secs?|seconds?|minutes?|hours?|days?)"
_MASKS = tuple(
    (needs, re.compile(pattern), sign)
    for needs, pattern, sign in (
        # Addresses with a scheme: https://…, s3://…
        ("://", r"\b[a-zA-Z][a-zA-Z+.-]{1,20}://\S+", HOLE),
        # Written dates: Mon Jul  1 08:16:53 PDT 2005.
        (
            ":",
            r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
            r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\s+\d{1,2}\s+\d\d:\d\d(?::\d\d)?"
            r"(?:\s+[A-Z]{3,4})?(?:\s+\d{4})?",
            HOLE,
        ),
        # Paths of both kinds, and routes with their questions.
        ("/", _PATH, HOLE),
        ("\\", _PATH, HOLE),
        # Names of three parts and more: hosts, packages, classes.
        (".", r"\b[A-Za-z](?:[\w-]*\.){2,}[\w-]+\b", HOLE),
        # Every word that holds a digit, with its unit: numbers, ids, hashes, addresses, node-17.
        ("", r"(?<![\w.:+@*~%#-])[\w.:+@*~%#-]*\d[\w.:+@*~%#-]*(?:\s" + _UNIT + r"\b)?", HOLE),
        # Values after an equals sign.
        ("=", r"=\s*(?:\"[^\"]*\"|[^\s,;)\]}=]+)", "=" + HOLE),
        # Brackets that hold nothing but that, or nothing.
        ("", r"[(\[]\s*(?:<\*>)?\s*[)\]]", HOLE),
        # A list of them is as long as it happens to be.
        (HOLE, r"(?:<\*>[\s,:;|/@()\[\]-]*){2,}", HOLE + " "),
    )
)


def masked(message: str) -> str:
    """The message with a `<*>` for each part that varies. The same for the same kind of message, whatever it names."""
    text = message[:LONGEST]
    for needs, pattern, sign in _MASKS:
        if needs in text:
            text = pattern.sub(sign, text)
    return " ".join(text.split())
