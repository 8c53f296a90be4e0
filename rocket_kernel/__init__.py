"""Rocket: a backend nobody has to code. Plugin authors import from here and nowhere deeper.

Names are imported when they are first used: pytest loads a plugin of this package in every run on a machine that has
Rocket installed, and must not load a whole server for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.actor import SYSTEM as SYSTEM
    from rocket_kernel.actor import Actor as Actor
    from rocket_kernel.apps.context import AppContext as AppContext
    from rocket_kernel.call import Call as Call
    from rocket_kernel.clock import Clock as Clock
    from rocket_kernel.clock import SystemClock as SystemClock
    from rocket_kernel.clock import timestamp_text as timestamp_text
    from rocket_kernel.config import Config as Config
    from rocket_kernel.config import load_config as load_config
    from rocket_kernel.errors import Conflict as Conflict
    from rocket_kernel.errors import Detail as Detail
    from rocket_kernel.errors import Forbidden as Forbidden
    from rocket_kernel.errors import InvalidPayload as InvalidPayload
    from rocket_kernel.errors import NotFound as NotFound
    from rocket_kernel.errors import RateLimited as RateLimited
    from rocket_kernel.errors import RocketError as RocketError
    from rocket_kernel.errors import Unauthorized as Unauthorized
    from rocket_kernel.errors import Unavailable as Unavailable
    from rocket_kernel.errors import ValidationFailed as ValidationFailed
    from rocket_kernel.hookspecs import hookimpl as hookimpl
    from rocket_kernel.http.app import create_app as create_app
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
    from rocket_kernel.kernel import Kernel as Kernel
    from rocket_kernel.kernel import make_kernel as make_kernel
    from rocket_kernel.metadata.entity import Entity as Entity
    from rocket_kernel.metadata.field import Field as Field
    from rocket_kernel.metadata.field_types import FieldType as FieldType
    from rocket_kernel.metadata.kinds import MetadataKind as MetadataKind
    from rocket_kernel.metadata.model import Model as Model
    from rocket_kernel.metadata.relation import Relation as Relation
    from rocket_kernel.plugins import Plugin as Plugin
    from rocket_kernel.query.access import FullAccess as FullAccess
    from rocket_kernel.query.access import ReadableRows as ReadableRows
    from rocket_kernel.query.access import ReadGrant as ReadGrant
    from rocket_kernel.query.access import ReadPolicy as ReadPolicy
    from rocket_kernel.query.filters import AllOf as AllOf
    from rocket_kernel.query.filters import AnyOf as AnyOf
    from rocket_kernel.query.filters import Compare as Compare
    from rocket_kernel.query.filters import Related as Related
    from rocket_kernel.query.filters import parse_condition as parse_condition
    from rocket_kernel.query.records import count_records as count_records
    from rocket_kernel.query.records import fetch_records as fetch_records
    from rocket_kernel.query.records import find_record as find_record
    from rocket_kernel.secret import Secret as Secret
    from rocket_kernel.store.columns import Column as Column
    from rocket_kernel.store.columns import ColumnType as ColumnType
    from rocket_kernel.store.columns import Index as Index
    from rocket_kernel.store.columns import Storage as Storage
    from rocket_kernel.store.columns import Table as Table
    from rocket_kernel.store.protocol import Session as Session
    from rocket_kernel.store.protocol import Transaction as Transaction
    from rocket_kernel.store.table_rows import TableRows as TableRows
    from rocket_kernel.write.context import Write as Write
    from rocket_kernel.write.stages import Stage as Stage
    from rocket_kernel.write.stages import Step as Step

__version__ = "0.1.0"

_ROOMS = {
    "SYSTEM": "actor",
    "Actor": "actor",
    "AppContext": "apps.context",
    "Call": "call",
    "Clock": "clock",
    "SystemClock": "clock",
    "timestamp_text": "clock",
    "Config": "config",
    "load_config": "config",
    "Conflict": "errors",
    "Detail": "errors",
    "Forbidden": "errors",
    "InvalidPayload": "errors",
    "NotFound": "errors",
    "RateLimited": "errors",
    "RocketError": "errors",
    "Unauthorized": "errors",
    "Unavailable": "errors",
    "ValidationFailed": "errors",
    "hookimpl": "hookspecs",
    "create_app": "http.app",
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
    "Kernel": "kernel",
    "make_kernel": "kernel",
    "Entity": "metadata.entity",
    "Field": "metadata.field",
    "FieldType": "metadata.field_types",
    "MetadataKind": "metadata.kinds",
    "Model": "metadata.model",
    "Relation": "metadata.relation",
    "Plugin": "plugins",
    "FullAccess": "query.access",
    "ReadableRows": "query.access",
    "ReadGrant": "query.access",
    "ReadPolicy": "query.access",
    "AllOf": "query.filters",
    "AnyOf": "query.filters",
    "Compare": "query.filters",
    "Related": "query.filters",
    "parse_condition": "query.filters",
    "count_records": "query.records",
    "fetch_records": "query.records",
    "find_record": "query.records",
    "Secret": "secret",
    "Column": "store.columns",
    "ColumnType": "store.columns",
    "Index": "store.columns",
    "Storage": "store.columns",
    "Table": "store.columns",
    "Session": "store.protocol",
    "Transaction": "store.protocol",
    "TableRows": "store.table_rows",
    "Write": "write.context",
    "Stage": "write.stages",
    "Step": "write.stages",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_ROOMS, "__version__"])
