"""What the routes of the plugin do, for the API description. A key is the method and the end of the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_auth.tables import INVITES, USERS
from rocket_kernel import Operation, Success, answers_data, array_of, nullable, object_of, row_schema

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIMESTAMP: Schema = {"type": "string", "format": "date-time"}
_PASSWORD: Schema = {"type": "string", "format": "password"}
_ROLES: Schema = array_of(_TEXT)
_REASONS = frozenset({401})
_SLOWED = frozenset({401, 429})

_PAIR = {"access_token": _TEXT, "refresh_token": _TEXT, "expires_in": _INTEGER}
_SIGNED_IN = object_of({**_PAIR, "must_change_password": _BOOLEAN})
_REFRESH = object_of({"refresh_token": _TEXT})
_ME = object_of({"id": _UUID, "email": _TEXT, "roles": _ROLES, "must_change_password": _BOOLEAN})

SIGN_IN: Mapping[str, Operation] = {
    "login": Operation(
        summary="Sign in",
        body=object_of({"email": _TEXT, "password": _PASSWORD}),
        answers=answers_data(_SIGNED_IN),
        refusals=_SLOWED,
    ),
    "refresh": Operation(
        summary="Replace a pair of tokens", body=_REFRESH, answers=answers_data(_SIGNED_IN), refusals=_REASONS
    ),
    "logout": Operation(
        summary="End a session",
        body=_REFRESH,
        answers={200: Success(schema=object_of({"message": _TEXT}))},
        refusals=_REASONS,
    ),
    "me": Operation(summary="Tell who you are", answers=answers_data(_ME)),
    "change-password": Operation(
        summary="Change your password",
        description="Every other session of yours ends.",
        body=object_of({"current_password": _PASSWORD, "new_password": _PASSWORD}),
        answers=answers_data(_SIGNED_IN),
        refusals=frozenset({403, 429}),
    ),
}

_USER_COLUMNS = ("id", "email", "roles", "active", "must_change_password", "created_at", "updated_at")
_USER = row_schema(USERS, _USER_COLUMNS, roles=_ROLES)
_USER_BODY = {"email": _TEXT, "password": nullable(_PASSWORD), "roles": nullable(_ROLES), "active": nullable(_BOOLEAN)}
_DELETED = object_of({"id": _UUID, "deleted": _BOOLEAN})
_CONFLICT = frozenset({409})

USERS_OPERATIONS: Mapping[str, Operation] = {
    "list": Operation(summary="List users", tag="users", answers=answers_data(array_of(_USER))),
    "create": Operation(
        summary="Create a user",
        tag="users",
        body={"type": "object", "required": ["email", "password"], "properties": {**_USER_BODY, "password": _PASSWORD}},
        answers=answers_data(_USER, status=201),
        refusals=_CONFLICT,
    ),
    "get": Operation(summary="Get a user", tag="users", answers=answers_data(_USER)),
    "replace": Operation(
        summary="Change a user",
        description="Without a password the old one stays.",
        tag="users",
        body={"type": "object", "required": ["email"], "properties": _USER_BODY},
        answers=answers_data(_USER),
        refusals=_CONFLICT,
    ),
    "remove": Operation(summary="Delete a user", tag="users", answers=answers_data(_DELETED), refusals=_CONFLICT),
}

_INVITE_COLUMNS = ("id", "email", "roles", "token", "expires_at", "accepted_at", "invited_by", "created_at")
_INVITE = row_schema(INVITES, _INVITE_COLUMNS, roles=_ROLES, token=nullable(_TEXT))
_MADE = object_of({"id": _UUID, "email": _TEXT, "token": _TEXT, "expires_at": _TIMESTAMP})
_SKIPPED = object_of({"email": _TEXT, "reason": _TEXT})
_COUNTS = object_of({"total": _INTEGER, "created": _INTEGER, "skipped": _INTEGER})
_ACCEPTED = object_of({**_PAIR, "user": object_of({"id": _UUID, "email": _TEXT, "roles": _ROLES})})

INVITES_OPERATIONS: Mapping[str, Operation] = {
    "list": Operation(summary="List invites", tag="invites", answers=answers_data(array_of(_INVITE))),
    "create": Operation(
        summary="Invite somebody",
        tag="invites",
        body={
            "type": "object",
            "required": ["email"],
            "properties": {"email": _TEXT, "roles": nullable(_ROLES)},
        },
        answers=answers_data(_INVITE, status=201),
        refusals=_CONFLICT,
    ),
    "create_many": Operation(
        summary="Invite many",
        tag="invites",
        body={
            "type": "object",
            "required": ["emails"],
            "properties": {"emails": {**array_of(_TEXT), "minItems": 1}, "roles": nullable(_ROLES)},
        },
        answers=answers_data(
            object_of({"created": array_of(_MADE), "skipped": array_of(_SKIPPED), "summary": _COUNTS})
        ),
    ),
    "remove": Operation(summary="Withdraw an invite", tag="invites", answers=answers_data(_DELETED)),
    "accept": Operation(
        summary="Accept an invite",
        body=object_of({"token": _TEXT, "password": _PASSWORD}),
        answers=answers_data(_ACCEPTED, status=201),
        refusals=_CONFLICT,
    ),
}

PERMISSION: Schema = {
    "type": "object",
    "required": ["entity", "action", "roles"],
    "properties": {
        "entity": _TEXT,
        "action": {"enum": ["read", "create", "update", "delete"]},
        "roles": array_of({"type": "string", "minLength": 1}),
        "conditions": array_of(
            {
                "type": "object",
                "required": ["field", "operator"],
                "properties": {"field": _TEXT, "operator": _TEXT, "value": {}},
            }
        ),
        "fields": {
            "anyOf": [
                {"type": "null"},
                {"type": "object", "required": ["include"], "properties": {"include": array_of(_TEXT)}},
                {"type": "object", "required": ["exclude"], "properties": {"exclude": array_of(_TEXT)}},
            ]
        },
    },
}
