"""What a route tells of itself: the words and schemas by which it stands in an app's API description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rocket_kernel.openapi.schema import ANY, INTEGER, TEXT, Schema, object_of

if TYPE_CHECKING:
    from rocket_kernel.metadata.entity import Entity
    from rocket_kernel.metadata.model import Model
    from rocket_kernel.openapi.rights import EntityRights, Rights

JSON = "application/json"
TEXT_PLAIN = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter or header. Those of the path need none, unless there is something to say of them."""

    name: str
    place: Literal["query", "header", "path"] = "query"
    schema: Schema = field(default_factory=lambda: TEXT)
    description: str = ""
    required: bool = False
    style: str | None = None
    """As OpenAPI has it; None is its default."""
    explode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """One kind of success. `schema` None is an answer without a body."""

    schema: Schema | None = None
    description: str = ""
    type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name -> what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route does. What follows from its method and access class, such as 401, need not be said.

    `body` is the JSON Schema of the JSON body; with another `body_type`, such as `multipart/form-data`, of its parts.
    """

    summary: str
    """A few words, such as `Rotate the secret of a webhook`."""
    answers: Mapping[int, Success]
    """By status; errors are not among them."""
    description: str = ""
    """Markdown."""
    id: str = ""
    """`operationId`, unique in an app; empty makes one of method and path."""
    tag: str = ""
    """Heading under which it stands; empty takes the plugin's name."""
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    body_type: str = JSON
    refusals: frozenset[int] = frozenset()
    """Statuses of errors that do not follow from method and access class, such as 409 or 429."""


@dataclass(frozen=True, slots=True)
class EntityView:
    """An entity as one caller may know it."""

    entity: Entity
    model: Model
    rights: EntityRights
    caller: Rights


EntityOperation = Callable[[EntityView], "Operation | None"]
"""Of a route under `/api/:app/:entity`: what it does for one entity, or None where it does nothing for the caller."""


def answers_data(schema: Schema, description: str = "", *, status: int = 200) -> Mapping[int, Success]:
    """The success envelope, `{"data": …}`."""
    return {status: Success(schema=enveloped(schema), description=description)}


def answers_page(items: Schema, description: str = "") -> Mapping[int, Success]:
    """One page of a list, `{"data": […], "meta": {…}}`."""
    schema = object_of({"data": {"type": "array", "items": items}, "meta": {"$ref": "#/components/schemas/Meta"}})
    return {200: Success(schema=schema, description=description)}


def answers_text(description: str = "") -> Mapping[int, Success]:
    return {200: Success(schema=TEXT, description=description, type=TEXT_PLAIN)}


def answers_bytes(description: str = "", **headers: str) -> Mapping[int, Success]:
    """Bytes of any type."""
    return {200: Success(schema=ANY, description=description, type="*/*", headers=headers)}


def enveloped(schema: Schema) -> Schema:
    return object_of({"data": schema})


PAGE = (
    Parameter(name="page", schema={"type": "integer", "minimum": 1, "default": 1}),
    Parameter(name="per_page", schema={"type": "integer", "minimum": 1}),
)
"""Of lists that come in pages."""

META: Schema = object_of(dict.fromkeys(("page", "per_page", "total", "total_pages"), INTEGER))
