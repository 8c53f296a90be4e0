"""Pages made from the code: every hook with its signature and promise, and every public name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import rocket_kernel
import rocket_kernel.testing
from rocket_kernel import hookspecs

_SECTION = re.compile(r"^# -- (.+) --$", re.MULTILINE)
_PROMISE = re.compile(r"\n*Since (\S+)\. Stability: (\w+)\.\s*$")


def hooks_page() -> str:
    """Every hook, in the order of the specs, under the sections that these are divided into."""
    parts = [
        "# Reference of hooks",
        "Made from the specs when this site was built. Examples, all of them tested: [Hooks](../hooks.md).",
        "| Hook | Called | Since | Stability |\n| --- | --- | --- | --- |\n" + "\n".join(_rows()),
    ]
    section = ""
    for name, spec in hook_specs().items():
        if _section_of(spec) != section:
            section = _section_of(spec)
            parts.append(f"## {section}")
        parts.append(_entry(name, spec))
    return "\n\n".join(parts) + "\n"


def names_page() -> str:
    """What a plugin may import."""
    parts = [
        "# Public names",
        "Made from the code when this site was built. A plugin imports from these two packages, and from nowhere deeper.",
    ]
    for package in (rocket_kernel, rocket_kernel.testing):
        rows = [f"| `{name}` | {_summary(getattr(package, name))} |" for name in dir(package)]
        head = f"## {package.__name__}\n\n| Name | What it is |\n| --- | --- |\n"
        parts.append(head + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def hook_specs() -> dict[str, Callable[..., Any]]:
    return {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")}


def _rows() -> Iterator[str]:
    for name, spec in hook_specs().items():
        text, since, stability = _promise(spec)
        parameters = ", ".join(inspect.signature(spec).parameters)
        anchor = f"{name}{parameters.replace(', ', '-')}".lower()
        yield f"| [`{name}`](../hooks.md#{anchor}) | {_first_sentence(text)} | {since} | {stability} |"


def _entry(name: str, spec: Callable[..., Any]) -> str:
    text, since, stability = _promise(spec)
    kind = "async def" if inspect.iscoroutinefunction(spec) else "def"
    shape = inspect.signature(spec)
    parameters = ", ".join(["self", *(f"{one.name}: {one.annotation}" for one in shape.parameters.values())])
    signature = f"{kind} {name}({parameters}) -> {shape.return_annotation}: ..."
    return f"### {name}\n\n```python\n@hookimpl\n{signature}\n```\n\n{text}\n\nSince {since}, {stability}."


def _promise(spec: Callable[..., Any]) -> tuple[str, str, str]:
    """Docstring without its last line, version, stability."""
    text = inspect.getdoc(spec) or ""
    found = _PROMISE.search(text)
    if found is None:
        raise ValueError(f"the hook {spec.__name__} promises nothing")
    return text[: found.start()], found[1], found[2]


def _section_of(spec: Callable[..., Any]) -> str:
    source = inspect.getsource(hookspecs)
    before = source[: source.index(f"def {spec.__name__}(")]
    return str(_SECTION.findall(before)[-1])


def _first_sentence(text: str) -> str:
    return _one_line(text.split("\n\n")[0]).split(". ")[0].removesuffix(".").replace("|", "\\|")


def _summary(value: object) -> str:
    if isinstance(value, type) or callable(value):
        text = inspect.getdoc(value) or ""
        return _first_sentence(text) if not text.startswith(f"{getattr(value, '__name__', '')}(") else ""
    return f"`{_one_line(str(value))[:60]}`" if isinstance(value, str | int) else f"a `{type(value).__name__}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
