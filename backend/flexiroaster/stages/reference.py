"""Writes the reference page of every built-in stage type from its schema, description and examples.

`python -m flexiroaster.stages.reference [FOLDER]` writes them, with `--check` it says which are not in step.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flexiroaster.stages.base import StageExample, StageType
from flexiroaster.stages.registry import StageRegistry

FOLDER = Path(__file__).parents[3] / "docs" / "reference" / "stages"
NOTE = "<!-- Written by `make generate` from the code of the stage: change it there. -->"


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    registry = StageRegistry()
    written = pages(registry.types())
    folder = folders[0] if folders else FOLDER
    different = out_of_step(written, folder)
    if not check:
        write(written, folder)
    problems = [
        *registry.problems(),
        *(f"{folder / name} is not in step with the code." for name in different if check),
    ]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def pages(types: Mapping[str, StageType]) -> dict[str, str]:
    """The text of each page by file name, the table of contents included."""
    return {f"{name}.md": page(type) for name, type in types.items()} | {"README.md": contents(types)}


def out_of_step(pages: Mapping[str, str], folder: Path) -> list[str]:
    """The names of pages that are missing, different, or of no stage type."""
    there = {path.name: path.read_text() for path in folder.glob("*.md")}
    return sorted(name for name in there.keys() | pages.keys() if there.get(name) != pages.get(name))


def write(pages: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in out_of_step(pages, folder):
        if name in pages:
            (folder / name).write_text(pages[name])
        else:
            (folder / name).unlink()


def contents(types: Mapping[str, StageType]) -> str:
    rows = [f"| [`{name}`]({name}.md) | {cell(type.summary)} |" for name, type in types.items()]
    return "\n".join(["# Stage types", "", NOTE, "", "| Type | What it does |", "| --- | --- |", *rows, ""])


def page(type: StageType) -> str:
    definitions = type.schema.get("$defs", {})
    parts = [f"# `{type.type}`", NOTE, type.summary, type.description, *remarks(type)]
    parts += ["## Settings", *(settings(type.schema, definitions) or ["This stage has no settings."])]
    for name in named_in(type.schema, definitions):
        parts += [f"### {name}", *objects(definitions[name], definitions)]
    if type.examples:
        parts += ["## Examples", *(part for example in type.examples for part in shown(example, type.type))]
    return "\n\n".join(part for part in parts if part) + "\n"


def remarks(type: StageType) -> list[str]:
    found = []
    if type.takes_data:
        found.append("`data` may be left out: it is then the `data` of the one stage that this one needs.")
    if type.runs_code:
        found.append(
            "This stage runs code: it works only where an administrator has set `FLEXIROASTER_CODE_STAGES=on`."
        )
    return found


def objects(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    if "properties" in schema:
        return [schema.get("description", ""), *settings(schema, definitions)]
    return [schema.get("description", ""), f"One of: {kind(schema)}."]


def settings(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """The table of an object's properties, in the order of the code, and which of them exclude each other."""
    properties = schema.get("properties", {})
    if not properties:
        return []
    required = set(schema.get("required", ()))
    lines = ["| Setting | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, value in properties.items():
        standard = "required" if name in required else default(value)
        lines.append(f"| `{name}` | {cell(kind(value))} | {cell(standard)} | {cell(meaning(value, definitions))} |")
    names = [f"`{each['required'][0]}`" for each in schema.get("oneOf", ()) if len(each.get("required", ())) == 1]
    return ["\n".join(lines), *([f"Exactly one of {', '.join(names)} is given."] if names else [])]


def kind(schema: Mapping[str, Any]) -> str:
    """The type of a value in words; other objects are links to their headings."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            kinds = [kind(each) for each in schema[choice] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "allOf" in schema:
        return " and ".join(kind(each) for each in schema["allOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return typed(schema)


def typed(schema: Mapping[str, Any]) -> str:
    type = schema.get("type")
    if isinstance(type, list):
        return " or ".join(each for each in type if each != "null")
    if type == "array":
        return f"list of {kind(schema['items'])}" if schema.get("items") else "list"
    if type == "object":
        values = schema.get("additionalProperties")
        return f"map of {kind(values)}" if isinstance(values, Mapping) and values else "map"
    if type == "string" and schema.get("format") == "date-time":
        return "timestamp"
    if type == "string" and "90s" in schema.get("examples", ()):
        return "duration"
    return {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}.get(type or "", "any")


def default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    return "" if value in (None, {}, []) else f"`{yaml_of(value)}`"


def meaning(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    text = schema.get("description", "")
    if not text and "$ref" in schema:
        text = definitions[schema["$ref"].rpartition("/")[2]].get("description", "")
    return " ".join([text, *bounds(schema)]).strip()


def bounds(schema: Mapping[str, Any]) -> list[str]:
    """The least and the most, wherever the schema holds them."""
    flat = [schema, *(each for each in schema.get("anyOf", ()) if "$ref" not in each)]
    found = []
    for words, key in (("At least", "minimum"), ("More than", "exclusiveMinimum"), ("At most", "maximum")):
        found += [f"{words} {number(each[key])}." for each in flat if key in each][:1]
    return found


def number(value: float) -> str:
    return f"{int(value) if value == int(value) else value:,}"


def named_in(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that a schema reaches, in the order of their first mention."""
    found: dict[str, None] = {}
    unseen: list[Any] = [schema.get("properties", {})]
    while unseen:
        value = unseen.pop(0)
        if isinstance(value, Mapping):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = None
                unseen.append(definitions[name])
            unseen += [each for key, each in value.items() if key != "discriminator"]
        elif isinstance(value, list):
            unseen += value
    return list(found)


def shown(example: StageExample, type: str) -> list[str]:
    stage: dict[str, Any] = {"id": type, "type": type}
    if example.config:
        stage["config"] = example.config
    return [f"### {example.title}", example.note, f"```yaml\n{yaml_of([stage])}\n```"]


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, as people write it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def yaml_of(value: Any) -> str:
    if not isinstance(value, list | dict):
        return yaml.safe_dump(value, allow_unicode=True).removesuffix("\n...\n").strip()
    flow = not (isinstance(value, list) and value and isinstance(value[0], dict))
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=flow)
    return text.strip()


def cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
