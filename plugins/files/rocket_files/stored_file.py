"""A file as its row in `_files` describes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rocket_kernel import Column, ColumnType, Index, Session, Storage, Table, TableRows, Transaction

_TEXT = ColumnType(Storage.TEXT)

FILES = Table(
    name="_files",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("filename", _TEXT, nullable=False),
        Column("storage_path", _TEXT, nullable=False),
        Column("mime_type", _TEXT, nullable=False),
        Column("size", ColumnType(Storage.BIGINT), nullable=False),
        Column("public", ColumnType(Storage.BOOLEAN), nullable=False, default=False),
        # Text: who calls is up to the plugin that authenticates, and so is the form of ids.
        Column("uploaded_by", _TEXT),
        Column("created_at", ColumnType(Storage.TIMESTAMP), nullable=False),
    ),
    primary_key=("id",),
    indexes=(Index("idx__files_created_at", ("created_at",)),),
)
ROWS = TableRows(FILES)
SPANS = ("storage", "file")
"""Source and component of what happens to files, in traces."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    filename: str
    storage_path: str
    """Key of the blob, `{app}/{id}`."""
    mime_type: str
    size: int
    """Bytes."""
    public: bool
    uploaded_by: str | None
    created_at: str

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"size": str(self.size)}

    def listed(self) -> dict[str, Any]:
        """As the list of files shows it."""
        names = ("id", "filename", "mime_type", "size", "public", "uploaded_by", "created_at")
        return {name: getattr(self, name) for name in names}

    def uploaded(self, app: str) -> dict[str, Any]:
        """The answer to its upload."""
        return {
            "id": self.id,
            "filename": self.filename,
            "size": self.size,
            "mime_type": self.mime_type,
            "url": file_url(app, self.id),
            "public": self.public,
            "uploaded_by": self.uploaded_by,
            "created_at": self.created_at,
        }

    def as_value(self) -> dict[str, Any]:
        """What a field of type `file` stores."""
        return {"id": self.id, "filename": self.filename, "size": self.size, "mime_type": self.mime_type}


def file_url(app: str, id: str) -> str:
    """Relative to the server's own address, which nobody but its operator knows."""
    return f"/api/{app}/_files/{id}"


def blob_key(app: str, id: str) -> str:
    return f"{app}/{id}"


def from_row(row: Mapping[str, Any]) -> StoredFile:
    return StoredFile(**{**row, "size": int(row["size"])})


def read_id(value: object) -> str:
    """The text of a file id in its one form. Raises ValueError."""
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError("no file id")
    text = value.lower()
    if str(UUID(text)) != text:
        raise ValueError("no file id")
    return text


async def find_file(session: Session, text: str) -> StoredFile | None:
    """`text` is the id as a path has it."""
    try:
        id = read_id(text)
    except ValueError:
        return None
    return (await find_files(session, [id])).get(id)


async def find_files(session: Session, ids: Collection[str], *, lock: bool = False) -> dict[str, StoredFile]:
    """Those of the ids that are there. `lock` keeps them from being deleted until the transaction ends."""
    # In one order, so that two transactions never wait for each other.
    rows = await ROWS.select(session, {"id": sorted(ids)}, order_by=("id",), lock=lock) if ids else []
    return {row["id"]: from_row(row) for row in rows}


async def remove_row(tx: Transaction, id: str) -> bool:
    """Whether it was there."""
    return await ROWS.delete(tx, {"id": id}) == 1
