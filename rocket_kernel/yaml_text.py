"""YAML text to plain values, strictly: no duplicate keys, and only `true` and `false` are booleans."""

from __future__ import annotations

import re
from typing import Any

import yaml


class YamlError(ValueError):
    """The text is no YAML document; `line` counts from 1 and is None when it is unknown."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.problem = problem
        self.line = line
        super().__init__(problem if line is None else f"line {line}: {problem}")


def parse_yaml(text: str | bytes) -> object:
    """The one document in `text`, None when it is empty. Raises YamlError."""
    document = _decode(text) if isinstance(text, bytes) else text
    try:
        return yaml.load(document, Loader=_StrictLoader)  # noqa: S506  a subclass of SafeLoader
    except yaml.reader.ReaderError as error:
        problem = str(error).splitlines()[0]
        raise YamlError(problem, document[: error.position].count("\n") + 1) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or "malformed YAML", mark.line + 1 if mark else None) from error
    # What SafeLoader lets through: nesting too deep, and an explicit tag on a text it does not fit.
    except (RecursionError, ValueError, LookupError, AttributeError) as error:
        raise YamlError("malformed YAML: nested too deeply, or a tag on a wrong value") from error


def _decode(octets: bytes) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError("not UTF-8", octets[: error.start].count(b"\n") + 1) from error


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2's booleans and no dates: `synchronous: off` and `region: no` mean these words."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Before SafeLoader flattens merge keys, because overriding a merged key is no duplicate.
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
