"""What goes wrong in an expression, when it is compiled and when it runs."""

from __future__ import annotations


class ExpressionError(ValueError):
    """The only error of the language. `message` is the reason; `line` and `column` count from 1, in characters."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.message} at line {self.line}, column {self.column}"


class Fault(Exception):
    """A reason on its way to the place where its position is known; never leaves this package."""

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at

    def placed(self, at: int) -> Fault:
        """The same fault at an offset of the source, unless an inner place is known already."""
        if self.at is None:
            self.at = at
        return self

    def shown(self, source: str) -> ExpressionError:
        line, column = position(source, self.at or 0)
        return ExpressionError(self.reason, line, column)


def position(source: str, at: int) -> tuple[int, int]:
    """Line and column of an offset, from 1."""
    before = source[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
