"""Environments in which a stranger's package is made, installed and tested.

The quick one lies on top of that of the tests: what is installed into it is seen there only, and all else is found
below. So nothing has to be fetched, and the environment of the developer stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import site
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rocket_kernel.testing.postgres import postgres_address

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*")
TIMEOUT_S = 300
START_S = 30


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment; `variables` are added to those of its commands."""

    folder: Path
    variables: dict[str, str]
    curl: Path = ROOT / "tests" / "docs" / "curl_stand_in.py"
    """Nothing but Python, make and git is asked of a machine that tests."""

    def run(self, command: str, *, cwd: Path, fails: bool = False) -> str:
        """Type a line into a shell; what it prints. An AssertionError when it fails, or does not where it should."""
        done = subprocess.run(
            ["sh", "-euc", command],
            cwd=cwd,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert bool(done.returncode) is fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def environ(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ROCKET_", "PYTEST_"))}
        path = f"{self.folder / 'bin'}{os.pathsep}{own.get('PATH', '')}"
        return {**own, "PATH": path, "VIRTUAL_ENV": str(self.folder), **self.variables}


def source_copy(folder: Path, name: str = ".") -> Path:
    """The sources of a distribution of this repository, so that building it leaves nothing here."""
    source = ROOT / name
    copy = folder / (source.name if name != "." else "rocket_kernel")
    if name == ".":
        copy.mkdir(parents=True)
        shutil.copytree(ROOT / "rocket_kernel", copy / "rocket_kernel", ignore=LEFT_OUT)
        for file in ("pyproject.toml", "LICENSE", "README.md"):
            shutil.copy(ROOT / file, copy)
    else:
        shutil.copytree(source, copy, ignore=LEFT_OUT)
    return copy


@pytest.fixture(scope="session")
def quick_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One that sees what this one has, but for the kernel: that is installed as a wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    packages = folder / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    below = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
    (packages / "below.pth").write_text(f"import site; {below}\n")
    # A script of a package below belongs to the environment below.
    (folder / "venv" / "bin" / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    for name in ("pytest", "mypy", "pip"):
        script = folder / "venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{folder}/venv/bin/python" -m {name} "$@"\n')
        script.chmod(0o755)
    variables = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads such a variable as the value of `build-isolation`
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-p no:hypothesispytest",  # takes a second to load, in each of many runs
        "MYPY_CACHE_DIR": str(folder / "mypy"),
        "ROCKET_TEST_POSTGRES": postgres_address().url,
    }
    made = Environment(folder / "venv", variables)
    made.run(f"pip install --quiet --no-deps --ignore-installed {source_copy(folder / 'source')}", cwd=folder)
    return made


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of each distribution of this repository."""
    folder = tmp_path_factory.mktemp("wheels")
    plugins = sorted(path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "plugins").glob("*/pyproject.toml"))
    sources = [str(source_copy(folder / "source", name)) for name in (".", *plugins)]
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder / "made"), *sources], check=True, timeout=TIMEOUT_S)
    return folder / "made"


@contextmanager
def empty_environment(wheels: Path) -> Iterator[Environment]:
    """A new virtual environment with nothing in it but pip, which finds the wheels, and all else where it always does.

    Its folder is none of pytest's: a database server that is installed there runs as a user of its own where the tests
    are run by root, and each start of pytest shuts others out of its folders.
    """
    with tempfile.TemporaryDirectory(prefix="rocket-environment-") as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "venv"
        venv.create(folder, symlinks=True, with_pip=True)
        variables = {
            # Beside the places where this machine finds all else.
            "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".rstrip(),
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        yield Environment(folder, variables)


@pytest.fixture
def wheels_environment(wheels: Path) -> Iterator[Environment]:
    with empty_environment(wheels) as made:
        yield made


@pytest.fixture(scope="module")
def authors_environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """What an author needs, installed from wheels."""
    with empty_environment(wheels) as made:
        made.run("pip install --quiet 'rocket-kernel[testing]'", cwd=tmp_path_factory.mktemp("author"))
        yield made


@pytest.fixture
def start_server(tmp_path: Path) -> Callable[[Environment, Path, str], Iterator[str]]:
    """A generator function: `rocket serve`, so typed in a folder. It yields the address, and then stops the server."""

    def serve(environment: Environment, folder: Path, command: str) -> Iterator[str]:
        log = tmp_path / "server.log"
        with log.open("w") as output:
            line = ["sh", "-euc", f"exec {command} --port 0"]
            server = subprocess.Popen(line, cwd=folder, env=environment.environ(), stdout=output, stderr=output)
        try:
            yield _address(server, log)
        finally:
            server.terminate()
            server.wait(timeout=60)

    return serve


@pytest.fixture
def try_readme(
    tmp_path: Path, start_server: Callable[[Environment, Path, str], Iterator[str]]
) -> Callable[[Environment, Path, str], str]:
    """Does what a README tells to try, on a server that runs in the package's folder; what the commands printed."""

    def run(environment: Environment, package: Path, serve: str) -> str:
        section = (package / "README.md").read_text().partition("## Try it")[2]
        (commands,) = re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
        for address in start_server(environment, package, serve):
            curl = f'curl() {{ "{sys.executable}" "{environment.curl}" "$@" && echo; }}\n'
            shown = environment.run(curl + commands.replace("http://localhost:8080", address), cwd=tmp_path)
        return shown

    return run


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens, once it does."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"^  address +(http://\S+:(\d+))$", log.read_text(), re.MULTILINE)
        if found is not None:
            with suppress(OSError), socket.create_connection(("localhost", int(found[2])), timeout=5):
                return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
