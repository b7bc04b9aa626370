"""Why YAML did not understand a line, and what to write instead."""

from __future__ import annotations

import re
from typing import Any

from flexiroaster.engine.definition.limits import Refused
from flexiroaster.engine.definition.nodes import Source

_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
_KEY_AND_VALUE = re.compile(r"^\s*(?:-\s+)?(?P<key>[A-Za-z_][\w-]*):\s+(?P<value>\S.*?)\s*$")


def explain(error: Any, source: Source) -> Refused:
    """An error of libyaml in our words."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return _unreadable_character(error, source)
    offset = min(mark.index, len(source.text))
    line = source.line_at(offset)
    for trap in (_tab, _expression, _value_to_quote, _colon_in_value):
        refused = trap(line, offset, source, str(error.problem))
        if refused is not None:
            return refused
    context = f" {error.context}" if getattr(error, "context", None) else ""
    return Refused("yaml_syntax", f"This is not YAML:{context} {error.problem}.".replace("  ", " "), offset)


def tag_refused(tag: str, source: Source, start: int) -> Refused:
    written = source.text[start : start + 60].split("\n")[0].strip()
    if tag.startswith("!") and not tag.startswith("!!"):
        return Refused(
            "yaml_tag",
            f"A value that begins with `!` is a tag in YAML: {written}",
            start,
            _quoted(written) if "${{" in written else f"write ${{{{ {written} }}}} if it is an expression",
        )
    return Refused(
        "yaml_tag", f"Tags are not allowed in a definition: {written.split(' ')[0]}", start, "remove the tag"
    )


def comment_in_expression(source: Source, start: int, end: int) -> None:
    """Raises `Refused` when a `#` cut an expression off: YAML drops the rest of the line as a comment."""
    line_end = source.text.find("\n", end)
    rest = source.text[end : line_end if line_end >= 0 else len(source.text)]
    if rest.lstrip(" \t").startswith("#") and "}}" in rest:
        whole = (source.text[start:end] + rest).strip()
        raise Refused(
            "yaml_quote",
            "` #` begins a comment in YAML and cuts the expression off.",
            end,
            f"quote it: {_quoted(whole)}",
        )


def _tab(line: str, offset: int, source: Source, _: str) -> Refused | None:
    if source.text[offset : offset + 1] == "\t" and "\t" in line[: len(line) - len(line.lstrip())]:
        return Refused("yaml_tab", "YAML is indented with spaces, not tabs.", offset, "replace the tab by two spaces")
    return None


def _expression(line: str, offset: int, source: Source, _: str) -> Refused | None:
    """`[${{ a }}]`, `{k: ${{ a }}}` and `${{ a == "x: y" }}`."""
    found = _EXPRESSION.search(line)
    if found is None:
        return None
    before = line[: found.start()]
    if "{" in before or "[" in before:
        return Refused(
            "yaml_quote",
            "Inside [ … ] and { … } an expression needs quotes.",
            offset - (source.position(offset)[1] - 1) + found.start(),
            f"quote it: {_quoted(found[0])}",
        )
    pair = _KEY_AND_VALUE.match(line)
    value = pair["value"] if pair else found[0]
    return Refused(
        "yaml_quote",
        "An expression that holds `: `, ` #` or quotes of its own at its ends needs quotes around all of it.",
        offset,
        f"quote it: {_quoted(value)}",
    )


def _value_to_quote(line: str, offset: int, _: Source, __: str) -> Refused | None:
    """`cron: */5 * * * *`, `@daily`, `%d`, and text that goes on after a quoted part."""
    pair = _KEY_AND_VALUE.match(line)
    if pair is None:
        return None
    value = pair["value"]
    if value[0] in "*@%`&|>" or (value[0] in "\"'" and value.count(value[0]) >= 2):
        return Refused(
            "yaml_quote",
            f"A value cannot begin with `{value[0]}` in YAML unless all of it is in quotes.",
            offset,
            f"quote it: {_quoted(value)}",
        )
    return None


def _colon_in_value(line: str, offset: int, _: Source, problem: str) -> Refused | None:
    pair = _KEY_AND_VALUE.match(line)
    if pair is None or ": " not in pair["value"] or "mapping values are not allowed" not in problem:
        return None
    return Refused("yaml_quote", "A value that holds `: ` needs quotes.", offset, f"quote it: {_quoted(pair['value'])}")


def _unreadable_character(error: Any, source: Source) -> Refused:
    offset = getattr(error, "position", None)
    character = getattr(error, "character", None)
    if not isinstance(offset, int) or not isinstance(character, int):
        return Refused("yaml_syntax", f"This is not YAML: {error}.", 0)
    return Refused(
        "invalid_text",
        f"The character U+{character:04X} is not allowed in YAML.",
        min(offset, len(source.text)),
        'write it as an escape in double quotes, such as "\\x07"',
    )


def _quoted(text: str) -> str:
    """In double quotes where that needs no escapes, else in single ones."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
