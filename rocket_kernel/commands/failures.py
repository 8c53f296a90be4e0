"""Errors as a person at the terminal reads them: one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from rocket_kernel.errors import RocketError, StartupError


def failure_text(error: StartupError | RocketError) -> str:
    text = str(error)
    if isinstance(error, RocketError):
        findings = [f"{detail.field}: {detail.message}" if detail.field else detail.message for detail in error.details]
        text = "; ".join([text, *findings])
        # Clients are not told the cause of a failure of ours. The person who runs the server is.
        if error.status >= 500 and error.__cause__ is not None:
            text = f"{text} ({error.__cause__})"
    return " ".join(text.split("\n"))


class ReadableGroup(click.Group):
    """Commands whose known errors end as one line on standard error and exit code 1."""

    problems: Sequence[str] = ()
    """Why commands of plugins may be missing."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            self._tell_problems()
            raise

    def get_help(self, ctx: click.Context) -> str:
        self._tell_problems()
        return super().get_help(ctx)

    def _tell_problems(self) -> None:
        for problem in self.problems:
            click.echo(f"Warning: without the commands of a plugin: {problem}", err=True)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (StartupError, RocketError) as error:
            raise click.ClickException(failure_text(error)) from error
