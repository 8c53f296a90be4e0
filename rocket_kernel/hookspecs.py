"""The plugin contract. Imports nothing at run time but pluggy.

Collectors return values; they run at start or whenever metadata changes, never in a request. Participants are async
and become named steps of compiled pipelines. Notices tell; what they return is ignored. A plugin implements any
subset by methods of the same names, marked with `hookimpl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from rocket_kernel.actions import ActionType
    from rocket_kernel.actor import Actor
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.call import Call
    from rocket_kernel.config import Config
    from rocket_kernel.events import Event
    from rocket_kernel.expressions.functions import Function
    from rocket_kernel.http.answered import AnswerObserver
    from rocket_kernel.http.messages import Request, Response
    from rocket_kernel.http.router import Route
    from rocket_kernel.jobs import Job
    from rocket_kernel.kernel import Kernel
    from rocket_kernel.metadata.entity import Entity
    from rocket_kernel.metadata.field_types import FieldType
    from rocket_kernel.metadata.kinds import MetadataKind
    from rocket_kernel.metadata.model import Model
    from rocket_kernel.metadata.registry import Registry
    from rocket_kernel.metadata.visibility import MetadataPolicy
    from rocket_kernel.metrics import AppMetric, Metric
    from rocket_kernel.query.access import ReadPolicy
    from rocket_kernel.serving.address import Listening
    from rocket_kernel.store.columns import Table
    from rocket_kernel.store.protocol import Transaction
    from rocket_kernel.tracing import SpanSink
    from rocket_kernel.transfer.sample_data import ImportListener
    from rocket_kernel.write.context import Write, WriteRun
    from rocket_kernel.write.policy import WritePolicy
    from rocket_kernel.write.stages import Step

PROJECT = "rocket"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# -- Collected once, when the kernel is made --


@hookspec
def register_field_types() -> Sequence[FieldType]:  # type: ignore[empty-body]
    """Return field types that entities may use.

    Called once at start, outside any transaction. A name that is taken is a start-up error naming both plugins;
    raising is a start-up error.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_entity_properties() -> Sequence[str]:  # type: ignore[empty-body]
    """Return names of entity properties that this plugin gives their meaning, such as `audit`.

    They are those that the kernel leaves to plugins: a definition that sets one which no plugin names is refused. Called
    once at start, outside any transaction. A name that is taken or unknown is a start-up error.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_metadata_kinds() -> Sequence[MetadataKind[Any]]:  # type: ignore[empty-body]
    """Return the metadata collections this plugin owns.

    From each the kernel gives the table in every app, the admin endpoints, loading, export, import and plan. Called
    once at start, outside any transaction. A name or path that is taken is a start-up error naming both plugins.

    Since 0.1. Stability: stable.
    """


@hookspec
def register_tables() -> Sequence[Table]:  # type: ignore[empty-body]
    """Return system tables this plugin owns in every app, beside those of its metadata kinds.

    Names start with `_`. Tables and missing columns are made when an app is created or opened; nothing is dropped.
    Called once at start, outside any transaction. A name that is taken is a start-up error naming both plugins.

    Since 0.1. Stability: stable.
    """


@hookspec
def register_platform_tables() -> Sequence[Table]:  # type: ignore[empty-body]
    """Return system tables this plugin owns in the management database, which all apps share.

    As `register_tables`; they are made when the kernel opens the management database.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_routes() -> Sequence[Route]:  # type: ignore[empty-body]
    """Return the routes this plugin answers. Fixed routes go before the dynamic record routes.

    Called once at start, outside any transaction. Two routes with one method and path are a start-up error naming
    both plugins.

    Since 0.1. Stability: stable.
    """


@hookspec
def register_jobs() -> Sequence[Job]:  # type: ignore[empty-body]
    """Return background jobs, which run in every app: again and again, or once for each row put in by `enqueue`.

    Each run happens once over all processes; that of a process that died is taken over when its lease is over. Called
    once at start, outside any transaction. Names start with the plugin's name and a colon; one that is taken is a
    start-up error.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_commands() -> Sequence[click.Command]:  # type: ignore[empty-body]
    """Return subcommands of `rocket`.

    Called when the command line starts, before configuration is read. A name that is taken is a start-up error.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_actions() -> Sequence[ActionType]:  # type: ignore[empty-body]
    """Return actions that reach outside the database, for definitions of other plugins to name.

    Called once at start, outside any transaction. A name that is taken is a start-up error. An action's `check` is
    called when a definition names it, and its `start` inside the transaction that carries it out.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_functions() -> Sequence[Function]:  # type: ignore[empty-body]
    """Return functions that expressions of rules, guards and conditions may call.

    Called once at start, outside any transaction. A name that is taken, by the language or by another plugin, or that
    is no name of the language is a start-up error. A function is called while an expression is evaluated, inside or
    outside a transaction: it must be pure and quick.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_span_sinks() -> Sequence[SpanSink]:  # type: ignore[empty-body]
    """Return listeners to what requests and jobs do.

    Called once at start, outside any transaction. Without any listener nothing is noted. A listener is asked once for
    each request or job whether it wants its trace, and told all of it when that has ended; what it raises then is
    logged.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_metrics() -> Sequence[Metric | AppMetric]:  # type: ignore[empty-body]
    """Return figures about what this plugin does, for whoever shows them.

    Called once at start, outside any transaction. Names begin with `rocket_`, the plugin's name and `_`; a wrong name
    and one that is taken are start-up errors. `Metric.read` is called on the event loop whenever somebody asks,
    `AppMetric.read` outside any transaction; what they raise is logged, and the metric is left out.

    Since 0.1. Stability: provisional.
    """


@hookspec
def register_answer_observers() -> Sequence[AnswerObserver]:  # type: ignore[empty-body]
    """Return functions that are told how each request ended, when its answer has been handed to the server.

    Called once at start, outside any transaction. The functions are plain ones, are called on the event loop, in the
    turn after the end of the answer, for every request that reaches the kernel, matched or not, and must be quick and not
    wait; what they raise is logged. Without any, requests pay nothing.

    Since 0.1. Stability: provisional.
    """


# -- Compiling an entity: called whenever an app's metadata changes, never in a request --


@hookspec
def compile_write_steps(entity: Entity, model: Model) -> Sequence[Step]:  # type: ignore[empty-body]
    """Return the steps this plugin adds to one entity's write pipeline.

    All answers are joined and sorted by stage, declared plugin order, then name; names start with the plugin's name
    and a colon. Called inside the transaction that changes the metadata: raising ValidationFailed refuses the change,
    anything else fails it, and the former pipeline stays in force.

    Since 0.1. Stability: stable.
    """


@hookspec
def compile_import_listener(entity: Entity, model: Model) -> ImportListener | None:
    """Return what is told of the rows that an import puts into one entity's table, or None for nothing.

    Such rows run through no pipeline. Called while an import is under way, inside its transaction, before the first row
    of an entity. The listener is awaited in that transaction after the rows of a batch are stored.

    Since 0.1. Stability: provisional.
    """


@hookspec
def compile_read_policy(entity: Entity, model: Model) -> ReadPolicy | None:
    """Return what decides which rows and fields of one entity a caller may read, or None for no say.

    The policies of several plugins hold together: a row or field must pass all. Called inside the transaction that
    changes the metadata: raising fails the change.

    Since 0.1. Stability: provisional.
    """


@hookspec
def compile_write_policy(entity: Entity, model: Model) -> WritePolicy | None:
    """Return what tells ahead which writes of one entity a caller may attempt, or None for no say.

    It refuses nothing, which is for steps of the pipeline; it is asked by whoever has to know without a record, such as
    the API description. Those of several plugins hold together. Called inside the transaction that changes the metadata:
    raising fails the change.

    Since 0.1. Stability: provisional.
    """


@hookspec
def compile_metadata_policy(model: Model) -> MetadataPolicy | None:
    """Return what decides which definitions a caller may see, or None for no say.

    It is asked about the kinds that are open to every caller who is signed in, such as entities and relations; what it
    does not show is left out of lists and answers 404. Those of several plugins hold together. Called once a change of
    metadata, inside its transaction: raising fails the change.

    Since 0.1. Stability: provisional.
    """


# -- Participants: async, on every request --


@hookspec
async def authenticate(request: Request) -> Actor | None:
    """Say who calls, or return None when the request bears no credentials this plugin knows.

    Called for every route but public ones, after the app is known, outside any transaction, in declared plugin order;
    the first actor counts. When plugins implement it and none answers, the caller gets 401. When no plugin does, every
    caller is admin and the server listens on loopback only. Raise Unauthorized to refuse. Where
    `request.confirms_caller` is set it may answer from memory with an actor that bears `known_at`.

    Since 0.1. Stability: provisional.
    """


@hookspec
async def on_request(request: Request) -> Response | None:
    """Look at a request before its handler; return a response to answer instead, or None to go on.

    Called after the route is matched and the body is read, outside any transaction, in declared plugin order; the
    first response ends the row. Called again when the caller's rights turn out to have changed meanwhile. Raising a
    RocketError answers with it; anything else is a defect (500).

    Since 0.1. Stability: stable.
    """


@hookspec
async def on_response(request: Request, response: Response) -> None:
    """Look at a response, its headers may be changed, before it is sent.

    Called for every answer of a matched route, errors included, outside any transaction. Raising is a defect (500).

    Since 0.1. Stability: stable.
    """


# -- Participants: async, on every write --


@hookspec
async def before_write(write: Write) -> None:
    """See a record before it is created or updated: change it with `write.assign`, refuse with `write.fail` or by
    raising.

    Called inside the transaction after rules and state machines, for nested records too. For an entity that the
    outside world judges it is called twice. Raising a RocketError refuses the whole request.

    Since 0.1. Stability: stable.
    """


@hookspec
async def after_write(write: Write) -> None:
    """See a record that has just been created or updated; may still veto by raising.

    Called inside the transaction: what it writes through `write.run.session` commits or vanishes with the record.

    Since 0.1. Stability: stable.
    """


@hookspec
async def before_delete(write: Write) -> None:
    """See a record before it is deleted, by request, nested write or cascade; veto by raising.

    Called inside the transaction; `write.old` is the row.

    Since 0.1. Stability: stable.
    """


@hookspec
async def after_delete(write: Write) -> None:
    """See a record that has just been deleted; may still veto by raising. Called inside the transaction.

    Since 0.1. Stability: stable.
    """


@hookspec
async def after_commit(write: Write) -> None:
    """Hear of a record that is now stored or gone for good.

    Called after the commit, once for each record of the request. Raising is logged and changes nothing.

    Since 0.1. Stability: stable.
    """


@hookspec
async def on_event(event: Event, session: Transaction, registry: Registry, call: Call, run: WriteRun | None) -> None:
    """Hear of a business event: one that a client sends, or an action of another plugin.

    Called inside the transaction of whoever sends it, in declared plugin order: what it writes through `session`
    commits with the event. `run` is the write the event comes from, or None. Raising undoes the transaction.

    Since 0.1. Stability: provisional.
    """


# -- Notices --


@hookspec
async def on_platform_opened(kernel: Kernel, tx: Transaction) -> None:
    """The management database is open and has its tables: put in what a new one holds.

    Called by servers and by commands that work on the databases, each time, before anything else, inside a transaction
    in which no other process is at this point. Raising stops the start.

    Since 0.1. Stability: provisional.
    """


@hookspec
async def on_listening(kernel: Kernel, listening: Listening) -> None:
    """`rocket serve` is about to listen on an address: refuse by raising StartupError.

    Called once for a server, however many processes it will have. The databases are open, `on_started` has not run.

    Since 0.1. Stability: provisional.
    """


@hookspec
async def on_started(kernel: Kernel) -> None:
    """The kernel has opened its databases and begins to serve. Raising stops the start.

    Since 0.1. Stability: stable.
    """


@hookspec
async def on_stopping(kernel: Kernel) -> None:
    """The kernel is about to close its databases. Raising is logged.

    Since 0.1. Stability: stable.
    """


@hookspec
async def on_app_created(app: AppContext, tx: Transaction, shown_once: dict[str, Any]) -> None:
    """An app's database and tables have just been made: put in what a new app holds.

    Called inside the transaction of the creation. Raising undoes the creation. What is put into `shown_once`, JSON
    values by names of its own, stands in the answer of the creation and nowhere else.

    Since 0.1. Stability: provisional.
    """


@hookspec
async def on_app_deleted(name: str, config: Config) -> None:
    """An app's database is gone: remove what the plugin keeps of the app elsewhere.

    Called outside any transaction, also for an app whose creation failed, and again after a crash, at a start even before
    `on_started`: there may be nothing left to remove. Raising leaves the app in deletion; another deletion of it, or the
    next start, tries again.

    Since 0.1. Stability: provisional.
    """


@hookspec
async def on_app_opened(app: AppContext) -> None:
    """An app is about to answer its first request in this process. Raising makes the app unavailable.

    Since 0.1. Stability: stable.
    """


@hookspec
async def on_app_closing(app: AppContext) -> None:
    """An app's connections are about to be closed in this process. Raising is logged.

    Since 0.1. Stability: stable.
    """
