"""Tests that must fail, in runs of their own."""

import subprocess
import sys

pytest_plugins = ["pytester"]


def test_a_leaked_task_is_noticed(run_inside):
    result = run_inside(
        """
        import asyncio

        async def forgotten():
            await asyncio.sleep(60)

        async def test_leak(client):
            client.quart.forgotten = asyncio.ensure_future(forgotten())

        async def test_clean(client):
            await asyncio.ensure_future(asyncio.sleep(0))

        async def test_ending(client):
            asyncio.ensure_future(forgotten()).cancel()
        """,
        "-k",
        "sqlite",
    )
    result.assert_outcomes(passed=3, errors=1, deselected=3)
    result.stdout.fnmatch_lines(["*tasks left running: <coroutine object forgotten*"])


def test_an_open_connection_is_noticed(run_inside):
    result = run_inside(
        """
        async def test_leak(client):
            app = await client.kernel.apps.app("shop")
            client.kernel.apps.servers["postgres"]._server._stores.clear()
            client.kernel.apps._open.clear()
            reader = app.store.read()
            await reader.__aenter__()
        """,
        "-k",
        "postgres",
    )
    result.assert_outcomes(passed=1, errors=1, deselected=1)
    result.stdout.fnmatch_lines(["*connections left open after the test: {'rocket_shop': *"])


def test_the_environment_and_folder_of_the_developer_do_not_reach_the_test(run_inside, monkeypatch):
    monkeypatch.setenv("ROCKET_SERVER__PORT", "1")
    monkeypatch.setenv("ROCKET_TEST_THING", "kept")
    result = run_inside(
        """
        import os
        from pathlib import Path

        def test_inside(clock, tmp_path):
            assert "ROCKET_SERVER__PORT" not in os.environ
            assert os.environ["ROCKET_TEST_THING"] == "kept"
            assert Path.cwd() == tmp_path

        def test_tests_without_rocket_are_left_alone():
            assert os.environ["ROCKET_SERVER__PORT"] == "1"
        """
    )
    result.assert_outcomes(passed=2)


def test_fixtures_work_in_strict_mode_and_in_tests_without_a_loop(run_inside):
    result = run_inside(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_async(client):
            assert (await client.get("/health")).status == 200

        def test_sync(kernel):
            assert kernel.open_house
        """,
        "-k",
        "sqlite",
        mode="strict",
    )
    result.assert_outcomes(passed=2, deselected=2)


def test_runs_without_rocket_import_nothing_of_its_testing_kit(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            kit = {name for name in sys.modules if name.startswith("rocket_kernel.testing.")}
            assert kit == {"rocket_kernel.testing.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_what_stops_the_database_server_is_imported_before_pytester_can_forget_it():
    code = "import sys, rocket_kernel.testing.pytest_plugin; print('psutil' in sys.modules, 'quart' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "True False"
