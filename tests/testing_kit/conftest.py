from __future__ import annotations

import pytest

import rocket_kernel.testing
from rocket_kernel.testing.postgres import postgres_address

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
# hypothesis is imported anew, for seconds, at the end of each run inside.
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")


@pytest.fixture(scope="session")
def before_pytester():
    """What is imported while `pytester` is at work is imported a second time later, as a stranger to the first."""
    for name in dir(rocket_kernel.testing):
        getattr(rocket_kernel.testing, name)
    postgres_address()


@pytest.fixture
def run_inside(before_pytester, pytester):
    """Runs a test module in a pytest run of its own: `run_inside(source, *arguments, mode="auto")`."""

    def run(source, *arguments, mode="auto"):
        pytester.makeini(INI.format(mode=mode))
        return pytester.runpytest_inprocess(*WITHOUT, *arguments, pytester.makepyfile(source))

    return run
