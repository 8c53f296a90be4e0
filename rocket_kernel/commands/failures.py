"""Errors as a person at the terminal reads them: one line each."""

from __future__ import annotations

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

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (StartupError, RocketError) as error:
            raise click.ClickException(failure_text(error)) from error
