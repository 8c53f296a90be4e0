"""docs/plugins/tutorial.md, done by the letter in an empty folder.

Blocks of `sh` are typed one after the other, `sh fails` must fail, those with a path behind the language are saved
there. `add` appends to the file, `import` takes the place of its own imports. `sh serve` starts the server, which stops
before the next chapter.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "tutorial.md"
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$|^## (?P<chapter>[^\n]*)$", re.MULTILINE | re.DOTALL)
OWN_IMPORTS = re.compile(r"^from rocket_kernel import .*?^from rocket_readtime[^\n]*\n", re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, environment, folder, start_server):
        self.environment, self.folder, self.start_server = environment, folder, start_server
        self.typed: list[str] = []
        self.address = self.answer = ""
        self.server: Iterator[str] | None = None

    def read(self, page: str) -> None:
        for block in FENCE.finditer(page):
            if block["chapter"] is not None:
                self.stop_server()
            else:
                self.do(block["info"].split(), block["text"])
        self.stop_server()

    def do(self, info: list[str], text: str) -> None:
        match info:
            case ["sh"] | ["sh", "fails"]:
                self.type(text, fails=len(info) > 1)
            case ["sh", "serve"]:
                self.server = self.start_server(self.environment, self.folder, text.strip())
                self.address = next(self.server)
            case ["sh", "tour"]:
                stand_in = f'curl() {{ "{sys.executable}" "{self.environment.curl}" "$@" && echo; }}\n'
                command = text.replace("http://localhost:8080", self.address)
                self.answer = self.environment.run(stand_in + command, cwd=self.folder)
                assert self.answer.split()[-1].startswith("2"), self.answer
            case ["json", status]:
                body, answered = self.answer.strip().rsplit("\n", 1)
                assert (answered, json.loads(body)) == (status, json.loads(text))
            case [_language, path, *how]:
                self.save(self.folder / path, text, how)
            case _:
                assert info == ["text"], f"nobody would know what to do with a block of {info}"

    def type(self, commands: str, *, fails: bool) -> None:
        for command in commands.splitlines():
            shown = self.environment.run(command, cwd=self.folder, fails=fails)
            self.typed.append(f"$ {command}\n{shown}")
            if command.startswith("cd "):
                self.folder = self.folder / command.removeprefix("cd ")

    def save(self, file: Path, text: str, how: list[str]) -> None:
        if how == ["add"]:
            text = file.read_text() + "\n" + text
        elif how == ["import"]:
            text, found = OWN_IMPORTS.subn(lambda _match: text, file.read_text())
            assert found == 1
        file.write_text(text)

    def stop_server(self) -> None:
        if self.server is not None:
            assert next(self.server, None) is None
            self.server = None


def test_the_tutorial(quick_environment, tmp_path, start_server):
    page = PAGE.read_text(encoding="utf-8")
    reader = Reader(quick_environment, tmp_path, start_server)
    reader.read(page)
    shown = "\n".join(reader.typed)
    assert "hooks the readme does not name" in shown
    assert shown.count(" passed in ") == 4  # one of them beside a failure
    assert "All checks passed!" in shown
    assert "Success: no issues found" in shown
    assert [wheel.name for wheel in (reader.folder / "dist").iterdir()] == ["rocket_readtime-0.1.0-py3-none-any.whl"]
    there = subprocess.run(["ls", reader.folder], capture_output=True, text=True, check=True).stdout.split()
    assert {"app.yaml", "pyproject.toml", "README.md", "src", "tests"} <= set(there)
