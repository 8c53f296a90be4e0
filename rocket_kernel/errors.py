"""The error tree of Rocket, and the only place that knows HTTP status numbers.

    Exception
     ├─ StartupError            the process must not start (ConfigError, PluginError)
     └─ RocketError             has a code, a status, a message and details; becomes an error body
         ├─ InvalidPayload (400) ─ UnknownField
         ├─ Unauthorized (401)
         ├─ Forbidden (403)
         ├─ NotFound (404) ─ AppNotFound, UnknownEntity
         ├─ MethodNotAllowed (405)
         ├─ Conflict (409) ─ UniqueViolation, ForeignKeyViolation
         ├─ PreconditionFailed (412)
         ├─ PayloadTooLarge (413)
         ├─ RangeNotSatisfiable (416)
         ├─ ValidationFailed (422) ─ NotNullViolation, IdempotencyConflict
         ├─ RateLimited (429)
         ├─ InternalError (500)
         ├─ NotConfigured (501)
         ├─ Unavailable (503) ─ StoreBusy ─ TransactionConflict; ConnectionLost
         └─ StorageFull (507)

A plugin with an error code of its own subclasses the class whose status it shares and sets `code`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Detail:
    """One finding inside an error: `field` is a path such as `lines[0].qty`."""

    message: str
    field: str | None = None
    rule: str | None = None
    line: int | None = None
    column: int | None = None

    def under(self, prefix: str) -> Detail:
        """The same finding seen from a parent record; `prefix` is an item path such as `lines[0]`."""
        if not prefix:
            return self
        return replace(self, field=f"{prefix}.{self.field}" if self.field else prefix)

    def as_json(self) -> dict[str, object]:
        body: dict[str, object] = {}
        if self.field is not None:
            body["field"] = self.field
        if self.rule is not None:
            body["rule"] = self.rule
        body["message"] = self.message
        if self.line is not None:
            body["line"] = self.line
        if self.column is not None:
            body["column"] = self.column
        return body


class RocketError(Exception):
    """Base of everything that is answered with the error envelope."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Internal server error"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Iterable[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = self.default_message if message is None else message
        self.details = tuple(details)
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def body(self) -> dict[str, object]:
        """The error envelope; holds nothing but code, message and details."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [detail.as_json() for detail in self.details]
        return {"error": error}


class InvalidPayload(RocketError):
    code = "INVALID_PAYLOAD"
    status = 400
    default_message = "Invalid JSON body"


class UnknownField(InvalidPayload):
    code = "UNKNOWN_FIELD"


class Unauthorized(RocketError):
    code = "UNAUTHORIZED"
    status = 401
    default_message = "Missing auth token"


class Forbidden(RocketError):
    code = "FORBIDDEN"
    status = 403
    default_message = "Admin access required"


class NotFound(RocketError):
    code = "NOT_FOUND"
    status = 404
    default_message = "Route not found"


class AppNotFound(NotFound):
    code = "APP_NOT_FOUND"

    def __init__(self, app: str) -> None:
        self.app = app
        super().__init__(f"App not found: {app}")


class UnknownEntity(NotFound):
    code = "UNKNOWN_ENTITY"

    def __init__(self, entity: str) -> None:
        super().__init__(f"Unknown entity: {entity}")


class MethodNotAllowed(RocketError):
    code = "METHOD_NOT_ALLOWED"
    status = 405
    default_message = "Method not allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__(headers={"Allow": ", ".join(allowed)})


class Conflict(RocketError):
    code = "CONFLICT"
    status = 409
    default_message = "The record was changed by another request"


class UniqueViolation(Conflict):
    """A unique index refused a value; `table` and `index` or `columns` say which one."""

    default_message = "A record with this value already exists"

    def __init__(self, *, table: str = "", index: str = "", columns: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.table = table
        self.index = index
        self.columns = columns


class ForeignKeyViolation(Conflict):
    """A row refers to one that is not there, or is still referred to. Only system tables have such references."""

    default_message = "A record refers to another one that does not exist"

    def __init__(self, *, table: str = "") -> None:
        super().__init__()
        self.table = table


class PreconditionFailed(RocketError):
    code = "PRECONDITION_FAILED"
    status = 412
    default_message = "The record has changed since it was read"


class PayloadTooLarge(RocketError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request body too large (max {limit} bytes)")


class RangeNotSatisfiable(RocketError):
    """Of `size` bytes, none are in the range that was asked for."""

    code = "RANGE_NOT_SATISFIABLE"
    status = 416
    default_message = "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(headers={"Content-Range": f"bytes */{size}"})


class ValidationFailed(RocketError):
    code = "VALIDATION_FAILED"
    status = 422
    default_message = "Validation failed"


class NotNullViolation(ValidationFailed):
    """A column that must hold a value was given none. Either name is empty when the database does not tell it."""

    def __init__(self, *, table: str = "", column: str = "") -> None:
        super().__init__()
        self.table = table
        self.column = column


class IdempotencyConflict(ValidationFailed):
    code = "IDEMPOTENCY_CONFLICT"
    default_message = "Idempotency-Key was used with a different request"


class RateLimited(RocketError):
    code = "RATE_LIMITED"
    status = 429
    default_message = "Too many failed attempts, try again later"

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})


class InternalError(RocketError):
    """A defect of the server. The cause is logged and never shown."""


class NotConfigured(RocketError):
    code = "NOT_CONFIGURED"
    status = 501
    default_message = "AI generation is not configured"


class Unavailable(RocketError):
    """The database is away, or no connection came free within the time limit."""

    code = "UNAVAILABLE"
    status = 503
    default_message = "Service unavailable"

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})


class StoreBusy(Unavailable):
    """A lock was not had in time, or the database asked for a retry; trying again may succeed."""


class TransactionConflict(StoreBusy):
    """Two transactions stood in each other's way and this one was undone; it may be tried again at once."""


class ConnectionLost(Unavailable):
    """The connection broke, or the server is shutting down or starting up."""


class StorageFull(Unavailable):
    """The disk is full: writes fail, reads go on."""

    status = 507
    default_message = "Insufficient storage"


class StartupError(Exception):
    """Rocket cannot start; the text is for the person at the terminal."""


class ConfigError(StartupError):
    """A configuration key or value is wrong."""


class PluginError(StartupError):
    """A plugin broke the rules of registration, or failed while the kernel called it.

    `place` is a file, with a line where one is known, such as `rocket_rules/plugin.py:31`.
    """

    def __init__(self, plugin: str, problem: str, *, hook: str | None = None, place: str | None = None) -> None:
        self.plugin = plugin
        self.problem = problem
        self.hook = hook
        self.place = place
        super().__init__(plugin, problem)

    def __str__(self) -> str:
        where = f"plugin {self.plugin!r}" if self.hook is None else f"plugin {self.plugin!r}, hook {self.hook}"
        place = "" if self.place is None else f" ({self.place})"
        return f"{where}: {self.problem}{place}"
