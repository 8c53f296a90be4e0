"""The field type `file`: contract §13.4. It stores what its file's row says; the address is added when it is read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from rocket_files.described import ACCEPTED, VALUE
from rocket_files.stored_file import file_url, find_files, read_id
from rocket_kernel import FieldType, Session, Storage

TYPE_NAME = "file"
_STORED = ("id", "filename", "size", "mime_type")


def read_value(value: Any, _precision: int | None) -> dict[str, Any]:
    """A file id, an object with one, or JSON text of such an object. The rest is filled in from the file's row."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return {"id": read_id(value.get("id") if isinstance(value, Mapping) else value)}


def read_filter(text: str, _precision: int | None) -> dict[str, Any]:
    return {"id": read_id(text)}


def keep(value: Any) -> dict[str, Any]:
    return {name: value.get(name) for name in _STORED}


def show(stored: Any, app: str) -> dict[str, Any] | None:
    """None for what an earlier definition of the column may have left there."""
    if not isinstance(stored, Mapping) or not isinstance(stored.get("id"), str):
        return None
    return {**keep(stored), "url": file_url(app, stored["id"])}


async def look_up(session: Session, values: Collection[Any]) -> Mapping[Any, Any]:
    files = await find_files(session, {value["id"] for value in values})
    return {id: file.as_value() for id, file in files.items()}


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, Mapping) else None


FILE = FieldType(
    name=TYPE_NAME,
    storage=Storage.JSON,
    read=read_value,
    read_filter=read_filter,
    operators=frozenset({"eq", "neq", "in", "not_in", "is_null"}),
    order_key=_id_of,
    sortable=False,
    member="id",
    indexed=True,
    keep=keep,
    show=show,
    look_up=look_up,
    schema=VALUE,
    accepts=ACCEPTED,
)
