"""Rocket: a backend nobody has to code. Plugin authors import from here and nowhere deeper.

Names are imported when they are first used: pytest loads a plugin of this package in every run on a machine that has
Rocket installed, and must not load a whole server for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.actions import ActionStart as ActionStart
    from rocket_kernel.actions import ActionType as ActionType
    from rocket_kernel.actions import Then as Then
    from rocket_kernel.actions import require_action as require_action
    from rocket_kernel.actor import SYSTEM as SYSTEM
    from rocket_kernel.actor import Actor as Actor
    from rocket_kernel.apps.context import AppContext as AppContext
    from rocket_kernel.apps.kept_secrets import kept_secret as kept_secret
    from rocket_kernel.call import Call as Call
    from rocket_kernel.call import Cause as Cause
    from rocket_kernel.clock import Clock as Clock
    from rocket_kernel.clock import SystemClock as SystemClock
    from rocket_kernel.clock import timestamp_text as timestamp_text
    from rocket_kernel.commands.options import configuration_options as configuration_options
    from rocket_kernel.commands.options import read_config as read_config
    from rocket_kernel.commands.work import work as work
    from rocket_kernel.config import Config as Config
    from rocket_kernel.config import InstrumentationConfig as InstrumentationConfig
    from rocket_kernel.config import S3Config as S3Config
    from rocket_kernel.config import StorageConfig as StorageConfig
    from rocket_kernel.config import load_config as load_config
    from rocket_kernel.deprecated import RocketDeprecationWarning as RocketDeprecationWarning
    from rocket_kernel.errors import AppNotFound as AppNotFound
    from rocket_kernel.errors import ConfigError as ConfigError
    from rocket_kernel.errors import Conflict as Conflict
    from rocket_kernel.errors import Detail as Detail
    from rocket_kernel.errors import Forbidden as Forbidden
    from rocket_kernel.errors import ForeignKeyViolation as ForeignKeyViolation
    from rocket_kernel.errors import InvalidPayload as InvalidPayload
    from rocket_kernel.errors import NotFound as NotFound
    from rocket_kernel.errors import PayloadTooLarge as PayloadTooLarge
    from rocket_kernel.errors import RangeNotSatisfiable as RangeNotSatisfiable
    from rocket_kernel.errors import RateLimited as RateLimited
    from rocket_kernel.errors import RocketError as RocketError
    from rocket_kernel.errors import StartupError as StartupError
    from rocket_kernel.errors import StorageFull as StorageFull
    from rocket_kernel.errors import TransactionConflict as TransactionConflict
    from rocket_kernel.errors import Unauthorized as Unauthorized
    from rocket_kernel.errors import Unavailable as Unavailable
    from rocket_kernel.errors import UniqueViolation as UniqueViolation
    from rocket_kernel.errors import ValidationFailed as ValidationFailed
    from rocket_kernel.events import Event as Event
    from rocket_kernel.events import emit_event as emit_event
    from rocket_kernel.expressions.environment import change_values as change_values
    from rocket_kernel.expressions.environment import instant_value as instant_value
    from rocket_kernel.expressions.environment import record_values as record_values
    from rocket_kernel.expressions.environment import user_values as user_values
    from rocket_kernel.expressions.environment import write_values as write_values
    from rocket_kernel.expressions.errors import ExpressionError as ExpressionError
    from rocket_kernel.expressions.expression import Expression as Expression
    from rocket_kernel.expressions.expression import compile_expression as compile_expression
    from rocket_kernel.expressions.functions import Function as Function
    from rocket_kernel.expressions.in_write import evaluate_for_record as evaluate_for_record
    from rocket_kernel.expressions.in_write import evaluate_in_write as evaluate_in_write
    from rocket_kernel.expressions.patterns import Pattern as Pattern
    from rocket_kernel.expressions.patterns import PatternError as PatternError
    from rocket_kernel.expressions.patterns import compile_pattern as compile_pattern
    from rocket_kernel.expressions.related import RelatedLoad as RelatedLoad
    from rocket_kernel.expressions.related import parse_related_load as parse_related_load
    from rocket_kernel.expressions.scope import WRITE_NAMES as WRITE_NAMES
    from rocket_kernel.expressions.scope import Scope as Scope
    from rocket_kernel.expressions.scope import scope as scope
    from rocket_kernel.expressions.scope import write_scope as write_scope
    from rocket_kernel.expressions.values import json_values as json_values
    from rocket_kernel.expressions.values import plain as plain
    from rocket_kernel.expressions.values import truthy as truthy
    from rocket_kernel.hookspecs import hookimpl as hookimpl
    from rocket_kernel.http.answered import AnswerObserver as AnswerObserver
    from rocket_kernel.http.app import create_app as create_app
    from rocket_kernel.http.dispatch import authenticate as authenticate
    from rocket_kernel.http.messages import Request as Request
    from rocket_kernel.http.messages import Response as Response
    from rocket_kernel.http.messages import data as data
    from rocket_kernel.http.messages import json_response as json_response
    from rocket_kernel.http.router import AccessClass as AccessClass
    from rocket_kernel.http.router import BodyMode as BodyMode
    from rocket_kernel.http.router import Route as Route
    from rocket_kernel.jobs import Job as Job
    from rocket_kernel.jobs import JobRun as JobRun
    from rocket_kernel.jobs import enqueue as enqueue
    from rocket_kernel.json_text import plain_json as plain_json
    from rocket_kernel.kernel import Kernel as Kernel
    from rocket_kernel.kernel import make_kernel as make_kernel
    from rocket_kernel.metadata.entity import Entity as Entity
    from rocket_kernel.metadata.field import Field as Field
    from rocket_kernel.metadata.field import text_form as text_form
    from rocket_kernel.metadata.field_types import FieldType as FieldType
    from rocket_kernel.metadata.field_types import Operator as Operator
    from rocket_kernel.metadata.instants import parse_timestamp as parse_timestamp
    from rocket_kernel.metadata.kinds import Change as Change
    from rocket_kernel.metadata.kinds import MetadataKind as MetadataKind
    from rocket_kernel.metadata.kinds import Stored as Stored
    from rocket_kernel.metadata.masking import MASK as MASK
    from rocket_kernel.metadata.masking import masked_change as masked_change
    from rocket_kernel.metadata.masking import masked_members as masked_members
    from rocket_kernel.metadata.masking import masked_record as masked_record
    from rocket_kernel.metadata.masking import sensitive_names as sensitive_names
    from rocket_kernel.metadata.model import Model as Model
    from rocket_kernel.metadata.registry import Registry as Registry
    from rocket_kernel.metadata.relation import Relation as Relation
    from rocket_kernel.metadata.visibility import MetadataPolicy as MetadataPolicy
    from rocket_kernel.metrics import Across as Across
    from rocket_kernel.metrics import AppMetric as AppMetric
    from rocket_kernel.metrics import Distribution as Distribution
    from rocket_kernel.metrics import Metric as Metric
    from rocket_kernel.metrics import MetricType as MetricType
    from rocket_kernel.metrics import Samples as Samples
    from rocket_kernel.openapi.operation import PAGE as PAGE
    from rocket_kernel.openapi.operation import EntityView as EntityView
    from rocket_kernel.openapi.operation import Operation as Operation
    from rocket_kernel.openapi.operation import Parameter as Parameter
    from rocket_kernel.openapi.operation import Success as Success
    from rocket_kernel.openapi.operation import answers_bytes as answers_bytes
    from rocket_kernel.openapi.operation import answers_data as answers_data
    from rocket_kernel.openapi.operation import answers_page as answers_page
    from rocket_kernel.openapi.operation import answers_text as answers_text
    from rocket_kernel.openapi.schema import Schema as Schema
    from rocket_kernel.openapi.schema import array_of as array_of
    from rocket_kernel.openapi.schema import nullable as nullable
    from rocket_kernel.openapi.schema import object_of as object_of
    from rocket_kernel.openapi.schema import row_schema as row_schema
    from rocket_kernel.plugins import Plugin as Plugin
    from rocket_kernel.query.access import Access as Access
    from rocket_kernel.query.access import FullAccess as FullAccess
    from rocket_kernel.query.access import ReadableRows as ReadableRows
    from rocket_kernel.query.access import ReadGrant as ReadGrant
    from rocket_kernel.query.access import ReadPolicy as ReadPolicy
    from rocket_kernel.query.filters import NEVER as NEVER
    from rocket_kernel.query.filters import AllOf as AllOf
    from rocket_kernel.query.filters import AnyOf as AnyOf
    from rocket_kernel.query.filters import Compare as Compare
    from rocket_kernel.query.filters import Filter as Filter
    from rocket_kernel.query.filters import Related as Related
    from rocket_kernel.query.filters import parse_condition as parse_condition
    from rocket_kernel.query.memory import holds as holds
    from rocket_kernel.query.parameters import parse_count as parse_count
    from rocket_kernel.query.reader import Reader as Reader
    from rocket_kernel.query.records import count_records as count_records
    from rocket_kernel.query.records import existing_values as existing_values
    from rocket_kernel.query.records import fetch_records as fetch_records
    from rocket_kernel.query.records import find_record as find_record
    from rocket_kernel.query.records import looks_like_key as looks_like_key
    from rocket_kernel.query.values import SortKey as SortKey
    from rocket_kernel.secret import Secret as Secret
    from rocket_kernel.serving.address import Listening as Listening
    from rocket_kernel.serving.address import listens_beyond_loopback as listens_beyond_loopback
    from rocket_kernel.setting_types import NotEmpty as NotEmpty
    from rocket_kernel.setting_types import Range as Range
    from rocket_kernel.spans import Span as Span
    from rocket_kernel.spans import Spans as Spans
    from rocket_kernel.spans import Statement as Statement
    from rocket_kernel.spans import Trace as Trace
    from rocket_kernel.spans import fingerprint as fingerprint
    from rocket_kernel.spans import statement_action as statement_action
    from rocket_kernel.store.columns import Column as Column
    from rocket_kernel.store.columns import ColumnType as ColumnType
    from rocket_kernel.store.columns import Index as Index
    from rocket_kernel.store.columns import Storage as Storage
    from rocket_kernel.store.columns import Table as Table
    from rocket_kernel.store.formulas import Part as Part
    from rocket_kernel.store.formulas import Term as Term
    from rocket_kernel.store.formulas import Truth as Truth
    from rocket_kernel.store.protocol import Session as Session
    from rocket_kernel.store.protocol import Transaction as Transaction
    from rocket_kernel.store.table_rows import NOT_NULL as NOT_NULL
    from rocket_kernel.store.table_rows import Comparison as Comparison
    from rocket_kernel.store.table_rows import Increment as Increment
    from rocket_kernel.store.table_rows import Of as Of
    from rocket_kernel.store.table_rows import TableRows as TableRows
    from rocket_kernel.store.table_rows import Within as Within
    from rocket_kernel.trace_ids import w3c_span_id as w3c_span_id
    from rocket_kernel.tracing import SpanSink as SpanSink
    from rocket_kernel.tracing import annotate as annotate
    from rocket_kernel.tracing import current_span as current_span
    from rocket_kernel.tracing import current_trace as current_trace
    from rocket_kernel.tracing import span as span
    from rocket_kernel.tracing import traced_work as traced_work
    from rocket_kernel.tracing import traceparent as traceparent
    from rocket_kernel.transfer.document import canonical_text as canonical_text
    from rocket_kernel.transfer.sample_data import ImportListener as ImportListener
    from rocket_kernel.write.context import Write as Write
    from rocket_kernel.write.context import WriteRun as WriteRun
    from rocket_kernel.write.order import WriteOrder as WriteOrder
    from rocket_kernel.write.policy import WriteGrant as WriteGrant
    from rocket_kernel.write.policy import WritePolicy as WritePolicy
    from rocket_kernel.write.stages import Stage as Stage
    from rocket_kernel.write.stages import Step as Step
    from rocket_kernel.write.view import Written as Written

__version__ = "0.1.0"

_ROOMS = {
    "ActionStart": "actions",
    "ActionType": "actions",
    "Then": "actions",
    "require_action": "actions",
    "SYSTEM": "actor",
    "Actor": "actor",
    "AppContext": "apps.context",
    "kept_secret": "apps.kept_secrets",
    "Call": "call",
    "Cause": "call",
    "Clock": "clock",
    "SystemClock": "clock",
    "timestamp_text": "clock",
    "configuration_options": "commands.options",
    "read_config": "commands.options",
    "work": "commands.work",
    "Config": "config",
    "InstrumentationConfig": "config",
    "S3Config": "config",
    "StorageConfig": "config",
    "load_config": "config",
    "RocketDeprecationWarning": "deprecated",
    "AppNotFound": "errors",
    "ConfigError": "errors",
    "Conflict": "errors",
    "Detail": "errors",
    "Forbidden": "errors",
    "ForeignKeyViolation": "errors",
    "InvalidPayload": "errors",
    "NotFound": "errors",
    "PayloadTooLarge": "errors",
    "RangeNotSatisfiable": "errors",
    "RateLimited": "errors",
    "RocketError": "errors",
    "StartupError": "errors",
    "StorageFull": "errors",
    "TransactionConflict": "errors",
    "Unauthorized": "errors",
    "Unavailable": "errors",
    "UniqueViolation": "errors",
    "ValidationFailed": "errors",
    "Event": "events",
    "emit_event": "events",
    "change_values": "expressions.environment",
    "instant_value": "expressions.environment",
    "record_values": "expressions.environment",
    "user_values": "expressions.environment",
    "write_values": "expressions.environment",
    "ExpressionError": "expressions.errors",
    "Expression": "expressions.expression",
    "compile_expression": "expressions.expression",
    "Function": "expressions.functions",
    "evaluate_for_record": "expressions.in_write",
    "evaluate_in_write": "expressions.in_write",
    "Pattern": "expressions.patterns",
    "PatternError": "expressions.patterns",
    "compile_pattern": "expressions.patterns",
    "RelatedLoad": "expressions.related",
    "parse_related_load": "expressions.related",
    "WRITE_NAMES": "expressions.scope",
    "Scope": "expressions.scope",
    "scope": "expressions.scope",
    "write_scope": "expressions.scope",
    "json_values": "expressions.values",
    "plain": "expressions.values",
    "truthy": "expressions.values",
    "hookimpl": "hookspecs",
    "AnswerObserver": "http.answered",
    "create_app": "http.app",
    "authenticate": "http.dispatch",
    "Request": "http.messages",
    "Response": "http.messages",
    "data": "http.messages",
    "json_response": "http.messages",
    "AccessClass": "http.router",
    "BodyMode": "http.router",
    "Route": "http.router",
    "Job": "jobs",
    "JobRun": "jobs",
    "enqueue": "jobs",
    "plain_json": "json_text",
    "Kernel": "kernel",
    "make_kernel": "kernel",
    "Entity": "metadata.entity",
    "Field": "metadata.field",
    "text_form": "metadata.field",
    "FieldType": "metadata.field_types",
    "Operator": "metadata.field_types",
    "parse_timestamp": "metadata.instants",
    "Change": "metadata.kinds",
    "MetadataKind": "metadata.kinds",
    "Stored": "metadata.kinds",
    "MASK": "metadata.masking",
    "masked_change": "metadata.masking",
    "masked_members": "metadata.masking",
    "masked_record": "metadata.masking",
    "sensitive_names": "metadata.masking",
    "Model": "metadata.model",
    "Registry": "metadata.registry",
    "Relation": "metadata.relation",
    "MetadataPolicy": "metadata.visibility",
    "Across": "metrics",
    "AppMetric": "metrics",
    "Distribution": "metrics",
    "Metric": "metrics",
    "MetricType": "metrics",
    "Samples": "metrics",
    "Success": "openapi.operation",
    "PAGE": "openapi.operation",
    "EntityView": "openapi.operation",
    "Operation": "openapi.operation",
    "Parameter": "openapi.operation",
    "answers_bytes": "openapi.operation",
    "answers_data": "openapi.operation",
    "answers_page": "openapi.operation",
    "answers_text": "openapi.operation",
    "Schema": "openapi.schema",
    "array_of": "openapi.schema",
    "nullable": "openapi.schema",
    "object_of": "openapi.schema",
    "row_schema": "openapi.schema",
    "Plugin": "plugins",
    "Access": "query.access",
    "FullAccess": "query.access",
    "ReadableRows": "query.access",
    "ReadGrant": "query.access",
    "ReadPolicy": "query.access",
    "NEVER": "query.filters",
    "AllOf": "query.filters",
    "AnyOf": "query.filters",
    "Compare": "query.filters",
    "Filter": "query.filters",
    "Related": "query.filters",
    "parse_condition": "query.filters",
    "holds": "query.memory",
    "parse_count": "query.parameters",
    "Reader": "query.reader",
    "count_records": "query.records",
    "existing_values": "query.records",
    "fetch_records": "query.records",
    "find_record": "query.records",
    "looks_like_key": "query.records",
    "SortKey": "query.values",
    "Secret": "secret",
    "Listening": "serving.address",
    "listens_beyond_loopback": "serving.address",
    "NotEmpty": "setting_types",
    "Range": "setting_types",
    "Column": "store.columns",
    "ColumnType": "store.columns",
    "Index": "store.columns",
    "Storage": "store.columns",
    "Table": "store.columns",
    "Part": "store.formulas",
    "Term": "store.formulas",
    "Truth": "store.formulas",
    "Session": "store.protocol",
    "Transaction": "store.protocol",
    "NOT_NULL": "store.table_rows",
    "Comparison": "store.table_rows",
    "Increment": "store.table_rows",
    "Of": "store.table_rows",
    "TableRows": "store.table_rows",
    "Within": "store.table_rows",
    "Span": "spans",
    "SpanSink": "tracing",
    "Spans": "spans",
    "Statement": "spans",
    "fingerprint": "spans",
    "statement_action": "spans",
    "Trace": "spans",
    "annotate": "tracing",
    "current_span": "tracing",
    "current_trace": "tracing",
    "span": "tracing",
    "traced_work": "tracing",
    "traceparent": "tracing",
    "w3c_span_id": "trace_ids",
    "canonical_text": "transfer.document",
    "ImportListener": "transfer.sample_data",
    "Write": "write.context",
    "WriteRun": "write.context",
    "WriteOrder": "write.order",
    "WriteGrant": "write.policy",
    "WritePolicy": "write.policy",
    "Stage": "write.stages",
    "Step": "write.stages",
    "Written": "write.view",
}


if not TYPE_CHECKING:  # else every misspelt name would be one of type Any

    def __getattr__(name: str) -> Any:
        if name not in _ROOMS:
            return import_module(f"{__name__}.deprecated").old_name(__name__, name)
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_ROOMS, "__version__"])
