"""What callers are told ahead that they may do is what they may do: the API description against the oracle's rules."""

import json
import re

import pytest

from rocket_auth.permissions.testing.cells import open_matrix
from rocket_auth.permissions.testing.oracle import ACTIONS, CALLERS, FIELDS
from rocket_kernel import Forbidden
from rocket_kernel.testing.actors import HEADER, parse_actor

METHODS = {"read": ("", "get"), "create": ("", "post"), "update": ("/{id}", "put"), "delete": ("/{id}", "delete")}
KEYS = {"task": ("task", "tasks"), "badge": ("badge",), "label": ("label", "labels"), "project": ("project",)}


def possible(caller, name, action):
    """The rules that could hold for some record."""
    return [rule for rule in caller.rules(name, action) if not (rule.own and caller.id is None)]


def may(caller, name, action):
    return bool(caller.rules(name, "read") if action == "read" else possible(caller, name, action))


def shown(caller, name):
    named = {each for each in FIELDS[name] if caller.names(name, each)}
    return (
        {"id"} | named | {each for each in FIELDS[name] for rule in possible(caller, name, "read") if rule.allows(each)}
    )


def given(caller, name, action):
    rules = possible(caller, name, action)
    return {each for each in FIELDS[name] if each != "id" and any(rule.allows(each) for rule in rules)}


def own_properties(document, schema, name):
    """Those that are fields; the rest are relations and what goes with them."""
    return set(document["components"]["schemas"][schema]["properties"]) & set(FIELDS[name])


async def test_documents_tell_each_caller_its_rights_and_no_more(start_kernel):
    admin = await open_matrix(start_kernel)
    for caller in CALLERS:
        document = (await admin.get("_openapi.json", headers={HEADER: caller.header})).require(200).json
        paths, text = document["paths"], json.dumps(document)
        for name in FIELDS:
            where = f"{caller.name} {name}"
            if not any(may(caller, name, action) for action in ACTIONS):
                found = [key for key in KEYS[name] if re.search(rf"\b{key}\b", text)]
                assert found == [], where
                continue
            for action, (rest, method) in METHODS.items():
                assert (method in paths.get(f"/{name}{rest}", {})) == may(caller, name, action), f"{where} {action}"
            readable = shown(caller, name) if may(caller, name, "read") else {"id"}
            assert own_properties(document, f"{name}.selected", name) == readable, where
            for action, schema in (("create", "new"), ("update", "change")):
                if may(caller, name, action):
                    assert own_properties(document, f"{name}.{schema}", name) == given(caller, name, action), where


async def test_write_policies_agree_with_the_steps(start_kernel):
    """A caller that is told no is refused for every record there could be."""
    admin = await open_matrix(start_kernel)
    registry = (await admin.kernel.apps.app("shop")).registry
    for caller in CALLERS:
        actor = parse_actor(caller.header)
        for name in FIELDS:
            (policy,) = registry.entity(name).write_policies
            for action in ("create", "update", "delete"):
                if may(caller, name, action):
                    fields = policy.grant(actor, action).fields
                    rules = possible(caller, name, action)
                    assert fields is None or fields == {f for f in FIELDS[name] if any(r.allows(f) for r in rules)}
                else:
                    with pytest.raises(Forbidden, match=f"for {action} on {name}$"):
                        policy.grant(actor, action)


async def test_fields_that_only_some_records_show_are_told(start_kernel):
    admin = await open_matrix(start_kernel)
    registry = (await admin.kernel.apps.app("shop")).registry
    seen = 0
    for caller in CALLERS:
        actor = parse_actor(caller.header)
        for name in FIELDS:
            if not caller.may(name, "read"):
                continue
            (policy,) = registry.entity(name).read_policies
            grant = policy.grant(actor)
            told = (set(FIELDS[name]) - grant.unnameable) | grant.sometimes | {"id"}
            assert told == shown(caller, name)
            seen += bool(grant.sometimes)
    assert seen > 3
