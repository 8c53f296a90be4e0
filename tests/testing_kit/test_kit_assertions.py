import json

import pytest
from werkzeug.datastructures import Headers

from rocket_kernel.testing import Answer, assert_error, entity

DETAIL = {"field": "title", "rule": "required", "message": "title is required"}


def answer(status=422, *, content_type="application/json; charset=utf-8", **error):
    body = {"error": {"code": "VALIDATION_FAILED", "message": "Validation failed", **error}}
    return Answer("POST", "book", status, Headers({"Content-Type": content_type}), json.dumps(body).encode())


async def test_an_error_of_the_kernel(client):
    await client.define(entity("book", title="string!"))
    refused = await client.post("book", {})
    assert_error(refused, 422, "VALIDATION_FAILED")
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [DETAIL])
    assert_error(await client.get("/nowhere"), 404, "NOT_FOUND", "Route not found", [])
    with pytest.raises(AssertionError, match=r"expected 422 VALIDATION_FAILED, got .*: 201"):
        assert_error(await client.post("book", {"title": "Emma"}), 422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("given", "expected", "complaint"),
    [
        (answer(), (400, "VALIDATION_FAILED"), "expected 400"),
        (answer(), (422, "CONFLICT"), "expected the code CONFLICT"),
        (answer(), (422, "VALIDATION_FAILED", "Other"), "expected the message 'Other'"),
        (answer(details=[DETAIL]), (422, "VALIDATION_FAILED", None, []), "other details"),
        (answer(), (422, "VALIDATION_FAILED", None, [DETAIL]), "other details"),
        (answer(details=[]), (422, "VALIDATION_FAILED"), "empty details"),
        (answer(message=""), (422, "VALIDATION_FAILED"), "needs a message"),
        (answer(trace="at line 1"), (422, "VALIDATION_FAILED"), "unknown members"),
        (answer(content_type="text/html"), (422, "VALIDATION_FAILED"), "not JSON"),
    ],
)
def test_what_differs_is_told(given, expected, complaint):
    with pytest.raises(AssertionError, match=complaint):
        assert_error(*(given, *expected))


def test_an_error_comes_alone():
    given = answer()
    both = Answer("GET", "x", 422, given.headers, b'{"data":1,' + given.body[1:])
    with pytest.raises(AssertionError, match="more than an error"):
        assert_error(both, 422, "VALIDATION_FAILED")
