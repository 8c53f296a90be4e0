"""What the routes of the plugin do, and how its field type looks, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_files.settings import LONGEST_TTL_S
from rocket_kernel import Operation, Parameter, Success, answers_data, array_of, object_of

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIMESTAMP: Schema = {"type": "string", "format": "date-time"}
_BY: Schema = {"type": ["string", "null"]}
_BYTES: Schema = {"type": "string", "format": "binary"}

_TOLD = {"id": _UUID, "filename": _TEXT, "size": _INTEGER, "mime_type": _TEXT}
_LISTED = object_of({**_TOLD, "public": _BOOLEAN, "uploaded_by": _BY, "created_at": _TIMESTAMP})
_UPLOADED = object_of({**_TOLD, "url": _TEXT, "public": _BOOLEAN, "uploaded_by": _BY, "created_at": _TIMESTAMP})
_HEADERS = {
    "ETag": "The file's; files never change.",
    "Accept-Ranges": "`bytes`",
    "Content-Disposition": "`inline` for what browsers may show, else `attachment`.",
}

UPLOAD = Operation(
    summary="Upload a file",
    body_type="multipart/form-data",
    body={
        "type": "object",
        "required": ["file"],
        "properties": {"file": _BYTES, "public": {"enum": ["true", "false"]}},
    },
    answers=answers_data(_UPLOADED, status=201),
    refusals=frozenset({413}),
)
LIST = Operation(summary="List files", answers=answers_data(array_of(_LISTED)))
SERVE = Operation(
    summary="Get the bytes of a file",
    description="Public files, and links that are signed, need no token.",
    parameters=(
        Parameter(name="expires", description="Of a signed link."),
        Parameter(name="signature", description="Of a signed link."),
        Parameter(name="Range", place="header", description="One range of bytes."),
        Parameter(name="If-None-Match", place="header"),
    ),
    answers={
        200: Success(schema=_BYTES, type="*/*", headers=_HEADERS),
        206: Success(schema=_BYTES, type="*/*", headers=_HEADERS, description="The range."),
        304: Success(description="As the tag says."),
    },
    refusals=frozenset({401, 403, 416}),
)
DELETE = Operation(summary="Delete a file", answers=answers_data(object_of({"deleted": _BOOLEAN})))
LINK = Operation(
    summary="Make a link that needs no token",
    parameters=(
        Parameter(
            name="ttl",
            schema={"type": "integer", "minimum": 1, "maximum": LONGEST_TTL_S},
            description="Seconds that it lives.",
        ),
    ),
    answers=answers_data(object_of({"url": _TEXT, "expires_at": _TIMESTAMP})),
)

VALUE: Schema = object_of(
    {
        "id": _TEXT,
        "filename": {"type": ["string", "null"]},
        "size": {"type": ["integer", "null"]},
        "mime_type": {"type": ["string", "null"]},
        "url": _TEXT,
    }
)
ACCEPTED: Schema = {
    "anyOf": [_UUID, {"type": "object", "required": ["id"], "properties": {"id": _UUID}}],
    "description": "A file's id, or an object that holds it.",
}
