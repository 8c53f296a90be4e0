"""The example plugins as a stranger has them: from wheels, in an environment that knows nothing of this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples" / "plugins").glob("*/pyproject.toml"))
NAMES = [folder.name for folder in EXAMPLES]
LEFT_OUT = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*")
BUILD_S = 120
SETTINGS = """[pytest]
addopts = --import-mode=importlib --strict-markers --strict-config
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers = torture: long runs
"""
# No module of the run may come from the checkout, and each package stands where it was installed.
WATCH = f"""import sys
from pathlib import Path


def pytest_sessionfinish():
    found = [str(getattr(module, "__file__", None)) for module in list(sys.modules.values())]
    near = [path for path in found if path.startswith({str(ROOT)!r} + "/") and "/.venv/" not in path]
    assert near == [], near
    installed = [path for path in found if Path(path).parent.name in ("rocket_kernel", "rocket_geo")]
    assert installed and all("site-packages" in path for path in installed), installed
"""


def test_they_pass_their_tests_where_nothing_else_is(wheels_environment, tmp_path):
    for folder in EXAMPLES:
        source = tmp_path / "sources" / folder.name
        shutil.copytree(folder, source, ignore=LEFT_OUT)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", str(tmp_path / "made"), str(source)], check=True, timeout=BUILD_S)
    shutil.rmtree(tmp_path / "sources")
    made = " ".join(f"'rocket-{name}[testing]'" for name in NAMES)
    wheels_environment.run(f"pip install --quiet --find-links made {made} mypy", cwd=tmp_path)
    shown = wheels_environment.run("rocket plugins", cwd=tmp_path)
    assert [name for name in NAMES if name not in shown] == []
    packages = " ".join(f"-p rocket_{name}" for name in NAMES)
    assert "Success: no issues found" in wheels_environment.run(f"mypy --strict {packages}", cwd=tmp_path)
    run = tmp_path / "run"
    for folder in EXAMPLES:
        shutil.copytree(folder / "tests", run / folder.name / "tests", ignore=LEFT_OUT)
        shutil.copy(folder / "README.md", run / folder.name)
    (run / "pytest.ini").write_text(SETTINGS)
    (run / "conftest.py").write_text(WATCH)
    printed = wheels_environment.run("pytest -q -m 'not torture'", cwd=run)
    assert " passed" in printed
    assert "failed" not in printed
