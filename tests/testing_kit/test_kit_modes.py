"""However authors run their tests: event loops of other scopes, several processes."""

import pytest

from rocket_kernel.testing.postgres import postgres_address

pytest_plugins = ["pytester"]

SOURCE = """
import pytest

{mark}
@pytest.mark.parametrize("turn", [1, 2])
async def test_create(client, turn):
    await client.define({{"name": "book", "fields": [{{"name": "id", "type": "uuid"}}],
                         "primary_key": {{"field": "id", "type": "uuid", "generated": True}}}})
    await client.create("book", {{}})
    assert (await client.get("book")).meta["total"] == 1

{mark}
async def test_both(start_on_both):
    one, two = await start_on_both()
    await one.client.app("shop")
    assert (await two.client.get("/api/shop/book")).status == 404

def test_without_a_loop(kernel):
    assert kernel.open_house
"""
INI = """
[pytest]
asyncio_mode = {mode}
filterwarnings = error
{scopes}
"""
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")


@pytest.fixture
def run_so(pytester, monkeypatch):
    """Runs the tests above in a process of its own: `run_so(mode, scopes, *arguments, mark="")`."""
    monkeypatch.setenv("ROCKET_TEST_POSTGRES", postgres_address().url)

    def run(mode, scopes, *arguments, mark=""):
        pytester.makeini(INI.format(mode=mode, scopes="\n".join(scopes)))
        pytester.makepyfile(SOURCE.format(mark=mark))
        return pytester.runpytest_subprocess(*WITHOUT, *arguments)

    return run


FIXTURES = "asyncio_default_fixture_loop_scope"
TESTS = "asyncio_default_test_loop_scope"
ONE_LOOP_EACH = f"{FIXTURES} = function"


@pytest.mark.parametrize(
    ("mode", "scopes", "mark"),
    [
        ("auto", [f"{FIXTURES} = session", f"{TESTS} = session"], ""),
        ("strict", [f"{FIXTURES} = module"], "@pytest.mark.asyncio(loop_scope='module')"),
    ],
)
def test_event_loops_of_any_scope(run_so, mode, scopes, mark):
    run_so(mode, scopes, mark=mark).assert_outcomes(passed=7)


def test_several_processes(run_so):
    run_so("auto", [ONE_LOOP_EACH], "-n", "2").assert_outcomes(passed=7)


def test_loops_that_do_not_fit_are_named(run_so):
    result = run_so("auto", [ONE_LOOP_EACH, f"{TESTS} = session"], "-k", "sqlite or both")
    result.assert_outcomes(passed=1, failed=3, deselected=3)
    result.stdout.fnmatch_lines(["*OtherLoop: the test runs in another event loop than Rocket's fixtures: *"])
