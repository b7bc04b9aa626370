"""One compiled expression: limits, evaluation, and errors that name the cause."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flexiroaster.engine.expressions.analysis import LITERALS, MACROS, Analysis, Reference, analyse
from flexiroaster.engine.expressions.bare_cel import cel
from flexiroaster.engine.expressions.cost import excess
from flexiroaster.engine.expressions.errors import ExpressionError
from flexiroaster.engine.expressions.functions import FUNCTIONS, NATIVE_FUNCTIONS, BadArgument
from flexiroaster.engine.expressions.values import Measure, UnfitValue, into_cel, to_json
from flexiroaster.engine.quoting import on_one_line, shortened

NAMESPACES = ("inputs", "vars", "results", "execution", "trigger", "secrets", "item")

MAX_LENGTH = 2_000
MAX_BRACKETS = 32
MAX_MACRO_DEPTH = 2
MAX_MACROS = 8

_OTHER_LANGUAGES = {
    "True": "true",
    "False": "false",
    "None": "null",
    "nil": "null",
    "undefined": "null",
    "and": "&&",
    "or": "||",
    "not": "!",
    "len": "size",
    "length": "size",
    "lowerAscii": "lower",
    "upperAscii": "upper",
    "float": "double",
    "str": "string",
    "env": "vars",
    "steps": "results",
    "outputs": "results",
    "params": "inputs",
}


@dataclass(frozen=True, slots=True)
class Expression:
    source: str
    analysis: Analysis
    program: Any
    """A `cel.Program`."""
    path: Reference | None
    """Set when the expression is nothing but a name with members: answered without CEL, of any size, as it is."""

    @staticmethod
    def compile(source: str) -> Expression:
        """Raises `ExpressionError`. The latest few thousand are kept."""
        return _compile(source)

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """A JSON value. Raises `ExpressionError`."""
        self._require_names(scope)
        if self.path is not None:
            return self._json(_follow(self.path, scope, self.source), in_order=True)
        variables, measure = self._variables(scope)
        self._require_bounded(measure, scope)
        return self._json(self._execute(variables, scope), in_order=False)

    def _require_names(self, scope: Mapping[str, Any]) -> None:
        for reference in self.analysis.references:
            if reference.root not in scope:
                raise unknown_name(reference, scope, self.source)

    def _variables(self, scope: Mapping[str, Any]) -> tuple[dict[str, Any], Measure]:
        """Only what is mentioned: converting a hundred results that nobody asked for costs 10 ms."""
        measure = Measure()
        try:
            return into_cel(_mentioned(self.analysis.references, scope), measure), measure
        except UnfitValue as unfit:
            raise self._error(f"cannot be evaluated: {unfit}") from unfit

    def _require_bounded(self, measure: Measure, scope: Mapping[str, Any]) -> None:
        too_much = excess(self.analysis, measure, lambda reference: _reached(reference, scope))
        if too_much is not None:
            raise self._error(f"{too_much}: do it in a stage", code="expression_limit")

    def _execute(self, variables: dict[str, Any], scope: Mapping[str, Any]) -> Any:
        refused: list[str] = []
        called = {call.text for call in self.analysis.calls}
        functions = {name: _recording(FUNCTIONS[name], refused) for name in called if name in FUNCTIONS}
        try:
            value = self.program.execute(cel().Context(variables=variables, functions=functions))
        except Exception as error:
            self._explain_missing(error, scope)
            raise self._error(f"failed: {refused[0] if refused else _cause(error)}") from error
        except BaseException as panic:
            _require_panic(panic)
            raise self._error("could not be evaluated") from None
        if refused:
            raise self._error(f"failed: {refused[0]}")
        return value

    def _explain_missing(self, error: Exception, scope: Mapping[str, Any]) -> None:
        """Of a missing member, say which one and what there is instead."""
        if isinstance(error, KeyError | IndexError | TypeError):
            for reference in self.analysis.references:
                _follow(reference, scope, self.source)

    def _json(self, value: Any, *, in_order: bool) -> Any:
        try:
            return to_json(value, sort=not in_order)
        except UnfitValue as unfit:
            raise self._error(f"gives a value that cannot be kept: {unfit}") from unfit

    def _error(self, what: str, *, code: str = "expression") -> ExpressionError:
        return ExpressionError(f"The expression `{on_one_line(self.source)}` {what}.", code=code, source=self.source)


def unknown_name(reference: Reference, known: Iterable[str], source: str) -> ExpressionError:
    meant = did_you_mean(reference.root, known)
    if reference.root in NAMESPACES:
        cause = f"`{reference.root}` is not available here"
    else:
        cause = f"there is nothing called `{shortened(reference.root)}`"
    hint = f", did you mean `{meant}`?" if meant and reference.root not in NAMESPACES else "."
    return ExpressionError(
        f"In the expression `{on_one_line(source)}` {cause}{hint}",
        code="unknown_name",
        source=source,
        offset=reference.start,
        suggestion=meant if reference.root not in NAMESPACES else None,
    )


_LONGEST_NAME = 200


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The closest known name, or the word for what other languages call so."""
    if len(name) > _LONGEST_NAME:
        return None
    names = list(known)
    translated = _OTHER_LANGUAGES.get(name)
    if translated is not None and (translated in names or translated in LITERALS or not translated.isalpha()):
        return translated
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


@lru_cache(maxsize=4096)
def _compile(source: str) -> Expression:
    if len(source) > MAX_LENGTH:
        raise ExpressionError(
            f"The expression `{on_one_line(source)}` has {len(source):,} characters; at most {MAX_LENGTH:,} are read.",
            code="expression_limit",
            source=source,
        )
    found = analyse(source)
    _require_limits(source, found)
    program = _parse(source)
    _require_functions(source, found)
    return Expression(source, found, program, _only_path(source, found))


def _require_limits(source: str, found: Analysis) -> None:
    limits = (
        (found.bracket_depth, MAX_BRACKETS, "nests brackets {} deep"),
        (found.macro_depth, MAX_MACRO_DEPTH, "nests map, filter, all or exists {} deep"),
        (found.macros, MAX_MACROS, "uses map, filter, all or exists {} times"),
    )
    for value, limit, what in limits:
        if value > limit:
            raise ExpressionError(
                f"The expression `{on_one_line(source)}` {what.format(value)}; at most {limit} are allowed.",
                code="expression_limit",
                source=source,
            )
    for variable, offset in found.bound.items():
        if variable in NAMESPACES and variable != "item":
            raise ExpressionError(
                f"In the expression `{on_one_line(source)}` the variable `{variable}` hides the namespace so called.",
                code="expression_syntax",
                source=source,
                offset=offset,
                suggestion="x",
            )


def _require_functions(source: str, found: Analysis) -> None:
    known = NATIVE_FUNCTIONS | FUNCTIONS.keys() | MACROS
    for call in found.calls:
        if call.text not in known or call.text in MACROS:
            meant = did_you_mean(call.text, known)
            hint = f", did you mean `{meant}`?" if meant and call.text not in MACROS else "."
            raise ExpressionError(
                f"In the expression `{on_one_line(source)}` there is no function `{shortened(call.text)}`{hint}",
                code="unknown_function",
                source=source,
                offset=call.start,
                suggestion=meant,
            )


def _parse(source: str) -> Any:
    try:
        return cel().compile(source)
    except ValueError as refused:
        raise _syntax_error(source, str(refused)) from refused
    except BaseException as panic:
        _require_panic(panic)
        raise ExpressionError(
            f"The expression `{on_one_line(source)}` cannot be read.", code="expression_syntax", source=source, offset=0
        ) from None


_AT = re.compile(r"<input>:([0-9]+):([0-9]+): (?:Syntax error: )?(.*)")
_INPUT = re.compile(
    r"(?:mismatched input|extraneous input|token recognition error at:|no viable alternative at input) '(.*?)'"
)


def _syntax_error(source: str, message: str) -> ExpressionError:
    """The parser's first complaint, without its list of everything that could have stood there."""
    if not source.strip():
        return ExpressionError("The expression is empty.", code="expression_syntax", source=source, offset=0)
    found = _AT.search(message)
    offset = _offset(source, int(found[1]), int(found[2])) if found else 0
    reason = found[3] if found else ""
    unexpected = _INPUT.match(reason)
    if "<EOF>" in reason:
        cause = "it ends too early"
    elif unexpected:
        cause = f"`{on_one_line(unexpected[1], 30)}` was not expected at character {offset + 1}"
    else:
        cause = reason or "it cannot be read"
    suggestion = _spelling(source)
    hint = f" ({suggestion})" if suggestion else ""
    return ExpressionError(
        f"The expression `{on_one_line(source)}` cannot be read: {cause}{hint}.",
        code="expression_syntax",
        source=source,
        offset=offset,
        suggestion=suggestion,
    )


def _offset(source: str, line: int, column: int) -> int:
    lines = source.split("\n")
    return min(len(source), sum(len(text) + 1 for text in lines[: line - 1]) + column - 1)


def _spelling(source: str) -> str | None:
    """What people write out of habit from other languages."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", source)
    habits = (
        (r"\band\b", "write && for and"),
        (r"\bor\b", "write || for or"),
        (r"\bnot\b", "write ! for not"),
        (r"(?<![|])\|(?![|])", "write a function, f(x), for a pipe, x | f"),
        (r"(?<![=!<>])=(?![=])", "write == to compare"),
        (r"(?<!&)&(?!&)", "write && for and"),
        (r"\$\{\{|\{\{", "write ${{ only once, around the whole expression"),
    )
    return next((advice for pattern, advice in habits if re.search(pattern, bare)), None)


def _only_path(source: str, found: Analysis) -> Reference | None:
    """The one reference that is the whole expression."""
    if len(found.references) != 1 or found.macros or found.calls:
        return None
    (reference,) = found.references
    return reference if source[reference.start : reference.end].strip() == source.strip() else None


def _follow(reference: Reference, scope: Mapping[str, Any], source: str) -> Any:
    """The value of a name with members. Raises `ExpressionError` naming the member that is missing."""
    value: Any = scope[reference.root]
    walked = reference.root
    for key in reference.path:
        if not _has(value, key):
            raise _missing(walked, key, value, source, reference)
        value = value[key]
        walked = f"{walked}[{key}]" if isinstance(key, int) else f"{walked}.{key}"
    return value


def _reached(reference: Reference, scope: Mapping[str, Any]) -> Any:
    """The value of a name with members, as far as there are any."""
    value: Any = scope[reference.root]
    for key in reference.path:
        if not _has(value, key):
            break
        value = value[key]
    return value


def _has(value: Any, key: str | int) -> bool:
    if isinstance(value, list | tuple):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, Mapping) and key in value


def _missing(walked: str, key: str | int, value: Any, source: str, reference: Reference) -> ExpressionError:
    meant = None
    walked, missed = shortened(walked), shortened(str(key))
    if isinstance(value, Mapping):
        names = [name for name in value if isinstance(name, str)]
        meant = did_you_mean(str(key), names)
        hint = f", did you mean `{meant}`?" if meant else _there_is(names)
        cause = f"`{walked}` has no `{missed}`{hint}"
    elif isinstance(value, list | tuple):
        cause = f"`{walked}` is a list of {len(value)}, it has no `{missed}`."
    else:
        kind = "null" if value is None else "text" if isinstance(value, str) else "a single value"
        cause = f"`{walked}` is {kind}, it has no `{missed}`."
    return ExpressionError(
        f"In the expression `{on_one_line(source)}` {cause}",
        code="unknown_member",
        source=source,
        offset=reference.start,
        suggestion=meant,
    )


def _there_is(names: list[str]) -> str:
    if not names:
        return "; it is empty."
    first = ", ".join(shortened(name) for name in sorted(names)[:8])
    return f"; it has {first}{', …' if len(names) > 8 else ''}."


_Tree = dict[str, Any]


def _mentioned(references: list[Reference], scope: Mapping[str, Any]) -> _Tree:
    """The part of the scope that the references reach. What is missing stays missing: `has(…)` may ask for it."""
    wanted: _Tree = {}
    for reference in references:
        _want(wanted, reference)
    return {root: _cut(members, scope[root]) for root, members in wanted.items()}


def _want(wanted: _Tree, reference: Reference) -> None:
    """A tree of names; None marks "all of it". A list is taken whole."""
    names: list[str] = [reference.root]
    for key in reference.path:
        if not isinstance(key, str):
            break
        names.append(key)
    node = wanted
    for name in names[:-1]:
        below = node.setdefault(name, {})
        if below is None:
            return
        node = below
    node[names[-1]] = None


def _cut(members: _Tree | None, value: Any) -> Any:
    if members is None or not isinstance(value, Mapping):
        return value
    return {name: _cut(below, value[name]) for name, below in members.items() if name in value}


def _recording(function: Callable[..., Any], refused: list[str]) -> Callable[..., Any]:
    """An exception inside a callback would be logged by the package, values and all: note it and give null."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BadArgument as bad:
            refused.append(str(bad))
        except TypeError:
            refused.append(f"{function.__name__.lstrip('_')}() cannot take these {len(arguments)} values")
        except (ValueError, OverflowError) as error:
            refused.append(f"{function.__name__.lstrip('_')}(): {error}")
        return None

    return call


def _cause(error: Exception) -> str:
    match error:
        case ZeroDivisionError():
            return "it divides by zero"
        case OverflowError():
            return "a number does not fit into 64 bits"
        case KeyError():
            return f"there is no member {error}"
        case IndexError():
            return str(error)
        case TypeError():
            return _type_cause(str(error))
        case _:
            return re.sub(r"^Function '(\w+)' error: ", r"\1(): ", str(error)).split(". Check ")[0]


def _type_cause(message: str) -> str:
    operation = re.match(r"Unsupported operation: (.+?)\. CEL", message)
    if operation:
        return f"{operation[1]} are of different types: write double(…), int(…) or string(…) around one of them"
    if message.startswith("No such overload"):
        return "an operation does not fit its values, for example a number joined with text or a condition on text"
    return message.rstrip(".")


def _require_panic(error: BaseException) -> None:
    """A fault inside the Rust package arrives as a BaseException of its own; all others go on."""
    if type(error).__name__ != "PanicException":
        raise error
