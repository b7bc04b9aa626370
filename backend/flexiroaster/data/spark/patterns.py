"""Regular expressions of DuckDB (RE2) as those of Java, with the same matches."""

from __future__ import annotations

import re

_POSIX = {
    "alnum": r"\p{Alnum}", "alpha": r"\p{Alpha}", "ascii": r"\p{ASCII}", "blank": r"\p{Blank}", "cntrl": r"\p{Cntrl}",
    "digit": r"\p{Digit}", "graph": r"\p{Graph}", "lower": r"\p{Lower}", "print": r"\p{Print}", "punct": r"\p{Punct}",
    "space": r"\p{Space}", "upper": r"\p{Upper}", "word": r"\w", "xdigit": r"\p{XDigit}",
}  # fmt: skip
_ESCAPES = {
    "v": r"\x0B",
    "s": r"[\t\n\f\r ]",
    "S": r"[^\t\n\f\r ]",
    "a": r"\x07",
    "b": r"(?:(?<=\w)(?!\w)|(?<!\w)(?=\w))",
    "B": r"(?:(?<=\w)(?=\w)|(?<!\w)(?!\w))",
}
"""Java's \b knows letters of all languages, RE2's those of ASCII."""
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(-[a-zA-Z]+)?([:)])")
_GROUP_NUMBER = re.compile(r"\\(\d|\\)|\\(.)|([$])", re.DOTALL)


class NotInJava(Exception):
    """The sentence says what of the pattern Java has no word for."""


def java_pattern(pattern: str, options: str = "") -> str:
    """The pattern for `java.util.regex`. `options` are those of DuckDB's functions. Raises NotInJava."""
    flags = "d"  # only \n ends a line, as in RE2
    for option in options:
        match option:
            case "i":
                flags += "iu"
            case "s":
                flags += "s"
            case "c" | "g" | "l" | "m" | "n" | "p":
                pass  # `m`, `n` and `p` only say that a point is no line break, as it is without them
            case _:
                raise NotInJava(f"the option '{option}'")
    return f"(?{flags}){_translated(pattern)}"


def _translated(pattern: str) -> str:
    result: list[str] = []
    position, multiline = 0, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            piece, position = _escape(pattern, position)
        elif char == "[":
            piece, position = _character_class(pattern, position)
        elif char == "(" and pattern.startswith("(?", position):
            piece, position = _group_start(pattern, position)
            multiline = multiline or "m" in piece
        elif char == "$" and not multiline:
            piece, position = r"\z", position + 1  # Java's $ also stands before a last \n
        elif char == "{" and not re.match(r"\{\d+(,\d*)?\}", pattern[position:]):
            piece, position = r"\{", position + 1
        else:
            piece, position = char, position + 1
        result.append(piece)
    return "".join(result)


def _escape(pattern: str, position: int) -> tuple[str, int]:
    following = pattern[position + 1 : position + 2]
    if following == "Q":
        end = pattern.find("\\E", position)
        end = len(pattern) if end < 0 else end
        return re.sub(r"([^\w\s])", r"\\\1", pattern[position + 2 : end]), end + 2
    if following in ("p", "P", "x") and pattern.startswith("{", position + 2):
        end = pattern.find("}", position)
        name = pattern[position + 3 : end]
        script = "Is" if following != "x" and len(name.lstrip("^")) > 2 else ""
        return f"\\{following}{{{script}{name}}}", end + 1
    if following == "C":
        raise NotInJava(r"\C")
    return _ESCAPES.get(following, "\\" + following), position + 2


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    """`[` within a class is a literal in RE2, and begins a union in Java; `&&` is an intersection there."""
    result, position = "[", position + 1
    if pattern.startswith("^", position):
        result, position = result + "^", position + 1
    if pattern.startswith("]", position):
        result, position = result + r"\]", position + 1
    while position < len(pattern) and pattern[position] != "]":
        if found := _POSIX_CLASS.match(pattern, position):
            known = _POSIX.get(found[2])
            if known is None:
                raise NotInJava(found[0])
            result += known if not found[1] else f"[^{known}]"
            position = found.end()
        elif pattern[position] == "\\":
            following = pattern[position + 1 : position + 2]
            result += {"v": r"\x0B", "s": r"\t\n\f\r ", "a": r"\x07"}.get(following, "\\" + following)
            position += 2
        else:
            char = pattern[position]
            result += "\\" + char if char in "[&" else char
            position += 1
    return result + "]", position + 1


def _group_start(pattern: str, position: int) -> tuple[str, int]:
    if pattern.startswith("(?P<", position):
        end = pattern.find(">", position)
        return f"(?<{re.sub('[^a-zA-Z0-9]', '', pattern[position + 4 : end])}>", end + 1
    if found := _FLAGS.match(pattern, position):
        if "U" in found[1] + (found[2] or ""):
            raise NotInJava("the flag U")
        on = found[1].replace("i", "iu")
        return f"(?{on}{found[2] or ''}{found[3]}", found.end()
    return "(?", position + 2


def java_replacement(replacement: str, shift: int = 0) -> str:
    r"""`\1` → `$1` (and so many groups further); a `$` is only a `$` there."""

    def said(found: re.Match[str]) -> str:
        if found[1] and found[1].isdigit():
            return f"${int(found[1]) + shift}"
        return "\\" + (found[1] or found[2] or found[3])

    return _GROUP_NUMBER.sub(said, replacement)
