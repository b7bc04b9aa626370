"""Writing a pipeline in Python: the same document as YAML, with the editor's completion.

p = PipelineBuilder("daily", name="Daily orders")
day = p.declare("day", type="string", format="date")
read = p.input("read", path=f"orders-{day}.csv")
check = p.validation("check", rules=[...], needs=read)
p.processing("clean", data=check["data"], operations=[{"op": "dedupe"}], when=check["rows"] > 0)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.limits import plain_document
from flexiroaster.engine.definition.model_problems import read_model
from flexiroaster.engine.definition.normalise import STAGE_KEYS, normalise
from flexiroaster.engine.definition.yaml_writer import to_yaml
from flexiroaster.engine.duration import format_duration
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.engine.pipeline import API_VERSION


class Term:
    """A piece of an expression: `${{ results.check.rows > 0 }}` in Python. In a text it becomes `${{ … }}`."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, source: str) -> None:
        self.source = source

    def __str__(self) -> str:
        return f"${{{{ {self.source} }}}}"

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise TypeError("An expression has no value yet: combine conditions with & and |, and negate with ~.")

    def __getattr__(self, name: str) -> Term:
        if name.startswith("__"):
            raise AttributeError(name)
        return Term(f"{self.source}.{name}")

    def __getitem__(self, key: str | int | Term) -> Term:
        if isinstance(key, str) and key.isidentifier():
            return Term(f"{self.source}.{key}")
        return Term(f"{self.source}[{_literal(key)}]")

    def __eq__(self, other: object) -> Term:  # type: ignore[override]
        return self._with("==", other)

    def __ne__(self, other: object) -> Term:  # type: ignore[override]
        return self._with("!=", other)

    def __lt__(self, other: object) -> Term:
        return self._with("<", other)

    def __le__(self, other: object) -> Term:
        return self._with("<=", other)

    def __gt__(self, other: object) -> Term:
        return self._with(">", other)

    def __ge__(self, other: object) -> Term:
        return self._with(">=", other)

    def __and__(self, other: object) -> Term:
        return self._with("&&", other)

    def __or__(self, other: object) -> Term:
        return self._with("||", other)

    def __add__(self, other: object) -> Term:
        return self._with("+", other)

    def __sub__(self, other: object) -> Term:
        return self._with("-", other)

    def __invert__(self) -> Term:
        return Term(f"!{_operand(self.source)}")

    def is_in(self, values: Iterable[object] | Term) -> Term:
        return self._with("in", values if isinstance(values, Term) else list(values))

    def _with(self, operator: str, other: object) -> Term:
        right = _operand(other.source) if isinstance(other, Term) else _literal(other)
        return Term(f"{_operand(self.source)} {operator} {right}")


class StageHandle(Term):
    """A stage that was added. It stands for its result, `results.<id>`, and goes into `needs`."""

    def __init__(self, id: str) -> None:
        super().__init__(f"results.{id}")
        self.__dict__["stage_id"] = id


Needs = str | StageHandle | Iterable[str | StageHandle] | None


class PipelineBuilder:
    """Collects stages; `to_document()` gives what `validate` gives for the same pipeline in YAML.

    `p.<type>(id, …)` adds a stage of any type: keys of the engine (`needs`, `when`, `retry`, …) are taken as such,
    all others are config. Where a config key has the name of an engine key, pass `config={…}`.
    """

    def __init__(self, id: str, name: str | None = None, **keys: Any) -> None:
        self._document: dict[str, Any] = {"apiVersion": API_VERSION, "id": id, "name": name or id}
        for key, value in keys.items():
            self._document[key.rstrip("_")] = _plain(value)
        self._document["stages"] = []

    def declare(self, input: str, **schema: Any) -> Term:
        """An input by its JSON Schema: `declare("day", type="string", default="2026-01-01")`."""
        self._document.setdefault("inputs", {})[input] = _plain(schema)
        return Term(f"inputs.{input}")

    def stage(self, id: str, type: str, *, config: Mapping[str, Any] | None = None, **keys: Any) -> StageHandle:
        """Add a stage. Without `needs` it runs after the stage added before it; `needs=[]` starts it at once."""
        stage: dict[str, Any] = {"id": id, "type": type}
        own: dict[str, Any] = dict(config or {})
        for key, value in keys.items():
            if key == "needs":
                if value is not None:
                    stage["needs"] = _needs(value)
            elif key in STAGE_KEYS:
                stage[key] = value
            elif key in own:
                raise InvalidRequest(f"Stage {id!r}: {key!r} is given both directly and in config.")
            else:
                own[key] = value
        if own:
            stage["config"] = own
        self._document["stages"].append(_plain(stage))
        return StageHandle(id)

    def input(self, id: str, **keys: Any) -> StageHandle:
        return self.stage(id, "input", **keys)

    def validation(self, id: str, **keys: Any) -> StageHandle:
        return self.stage(id, "validation", **keys)

    def processing(self, id: str, **keys: Any) -> StageHandle:
        return self.stage(id, "processing", **keys)

    def output(self, id: str, **keys: Any) -> StageHandle:
        return self.stage(id, "output", **keys)

    def __getattr__(self, type: str) -> Callable[..., StageHandle]:
        """A stage of any other type: `p.http("fetch", url=…)`."""
        if type.startswith("_"):
            raise AttributeError(type)

        def add(id: str, **keys: Any) -> StageHandle:
            return self.stage(id, type, **keys)

        return add

    def outputs(self, **values: Any) -> None:
        """What the pipeline gives to who started it."""
        self._document.setdefault("outputs", {}).update(_plain(values))

    def to_document(self) -> dict[str, Any]:
        """The normalised document. It is not checked here: `validate` says what is wrong with it."""
        document = normalise(plain_document(self._document), Findings())
        pipeline = read_model(document, Findings())
        return document if pipeline is None else pipeline.to_document()

    def to_yaml(self) -> str:
        return to_yaml(self.to_document())


def _needs(needs: Needs) -> list[str]:
    if isinstance(needs, str | StageHandle):
        needs = [needs]
    return [need.stage_id if isinstance(need, StageHandle) else need for need in needs or ()]  # type: ignore[misc]


def _plain(value: Any) -> Any:
    """JSON values of what Python authors write: expressions, durations, tuples."""
    match value:
        case Term():
            return str(value)
        case timedelta():
            return format_duration(value)
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _literal(value: object) -> str:
    """A Python value in the expression language."""
    match value:
        case Term():
            return value.source
        case list() | tuple():
            return f"[{', '.join(_literal(item) for item in value)}]"
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            raise TypeError(f"An expression cannot hold a {type(value).__name__}.")


def _operand(source: str) -> str:
    """In brackets when it is more than a name with members."""
    return f"({source})" if " " in source else source
