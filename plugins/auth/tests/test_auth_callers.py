"""Who calls: headers, tokens of every kind, and changes of users that count at the next request (contract §1.3, §10.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest

from rocket_auth.callers import TokenMemory
from rocket_auth.tables import OF_APPS
from rocket_auth.testing import ADMIN, PLATFORM, House, QuickAuth, bearer, login, signed_in
from rocket_kernel.testing import Client, assert_error, entity

INVALID = "Invalid or expired token"


def claims_of(client: Client) -> dict:
    return jwt.decode(token_of(client), options={"verify_signature": False})


def token_of(client: Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


async def secret_of(house: House) -> str:
    return (await house.running.kernel.apps.app("shop")).secret.reveal()


def encoded(part: object) -> bytes:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def forged(header: object, payload: object, secret: str, digest: str = "sha256") -> str:
    """Signed rightly, whatever is in it."""
    signed = encoded(header) + b"." + encoded(payload)
    return (signed + b"." + encoded(hmac.digest(secret.encode(), signed, digest))).decode()


HS256 = {"alg": "HS256", "typ": "JWT"}


async def test_headers_that_bear_no_token(house):
    token = token_of(house.admin)
    assert_error(await house.stranger.get("auth/me"), 401, "UNAUTHORIZED", "Missing auth token")
    for header in (
        token,
        f"Basic {token}",
        "Bearer",
        "Bearer ",
        f"Bearer  {token}",
        f"Bearer {token} x",
        "",
        f"Bearer\t{token}",
    ):
        answer = await house.stranger.get("auth/me", headers={"Authorization": header})
        assert_error(answer, 401, "UNAUTHORIZED", "Invalid auth header format")
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert (await house.stranger.get("auth/me", headers=twice)).status == 401
    for scheme in ("bearer", "BEARER"):
        assert (await house.stranger.get("auth/me", headers={"Authorization": f"{scheme} {token}"})).status == 200


async def test_tokens_that_are_none_of_ours(house):
    secret, claims = await secret_of(house), claims_of(house.admin)
    token = token_of(house.admin)
    now = house.clock.now().timestamp()
    without = {name: {key: value for key, value in claims.items() if key != name} for name in claims}
    bad = {
        "alg none": forged({"alg": "none"}, claims, secret),
        "alg none, unsigned": jwt.encode(claims, None, algorithm="none"),
        "alg None": forged({"alg": "NoNe"}, claims, secret),
        "RS256 with our secret": forged({"alg": "RS256"}, claims, secret),
        "HS512": forged({"alg": "HS512"}, claims, secret, "sha512"),
        "HS384": forged({"alg": "HS384"}, claims, secret, "sha384"),
        "no alg": forged({"typ": "JWT"}, claims, secret),
        "alg as list": forged({"alg": ["HS256"]}, claims, secret),
        "another secret": jwt.encode(claims, "x" * 43, algorithm="HS256"),
        "no exp": forged(HS256, without["exp"], secret),
        "no iat": forged(HS256, without["iat"], secret),
        "no sub": forged(HS256, without["sub"], secret),
        "no jti": forged(HS256, without["jti"], secret),
        "no app": forged(HS256, without["app"], secret),
        "exp as text": forged(HS256, {**claims, "exp": str(claims["exp"])}, secret),
        "exp true": forged(HS256, {**claims, "exp": True}, secret),
        "exp null": forged(HS256, {**claims, "exp": None}, secret),
        "exp beyond all": forged(HS256, {**claims, "exp": 10**30}, secret),
        "exp past": forged(HS256, {**claims, "exp": int(now)}, secret),
        "iat to come": forged(HS256, {**claims, "iat": int(now) + 60}, secret),
        "iat list": forged(HS256, {**claims, "iat": [1]}, secret),
        "sub of another type": forged(HS256, {**claims, "sub": 7}, secret),
        "sub no id": forged(HS256, {**claims, "sub": "' OR 1=1 --"}, secret),
        "sub unknown": forged(HS256, {**claims, "sub": "00000000-0000-4000-8000-000000000000"}, secret),
        "app of another": forged(HS256, {**claims, "app": "mall"}, secret),
        "app the platform": forged(HS256, {**claims, "app": "_platform"}, secret),
        "jti without generation": forged(HS256, {**claims, "jti": "x"}, secret),
        "jti of another generation": forged(HS256, {**claims, "jti": "1.x"}, secret),
        "payload no object": forged(HS256, [claims], secret),
        "payload no JSON": forged(HS256, b"\xff{", secret),
        "payload too deep": forged(HS256, b"[" * 30_000, secret),
        "header too deep": forged(b'{"alg":"HS256","x":' + b"[" * 5_000, claims, secret),
        "header unknown crit": forged({**HS256, "crit": ["x"]}, claims, secret),
        "truncated": token[:-1],
        "half": token[: len(token) // 2],
        "no signature": token.rpartition(".")[0] + ".",
        "10 kB": "x" * 10_000,
        "10 kB of dots": "." * 10_000,
        "10 kB signature": token + "A" * 10_000,
        "not ASCII": "tökén",
        "bytes": "\xff\xfe",
    }
    for name, text in bad.items():
        answer = await house.stranger.get("auth/me", headers=bearer(text))
        assert (answer.status, answer.error) == (401, {"code": "UNAUTHORIZED", "message": INVALID}), name
    assert (await house.admin.get("auth/me")).status == 200


async def test_a_clock_that_is_a_little_ahead_is_borne_with(house):
    claims = claims_of(house.admin)
    ahead = forged(HS256, {**claims, "iat": claims["iat"] + 5}, await secret_of(house))
    assert (await house.stranger.get("auth/me", headers=bearer(ahead))).status == 200


async def test_a_token_ends_to_the_second_though_it_is_remembered(house):
    house.clock.set(house.clock.now().replace(microsecond=0))
    ann = await house.user("ann@example.com")
    house.clock.advance(seconds=899.999)
    assert (await ann.get("auth/me")).status == 200
    house.clock.advance(seconds=0.001)
    assert_error(await ann.get("auth/me"), 401, "UNAUTHORIZED", INVALID)


async def test_a_token_opens_one_app_only(house):
    (await house.platform.post("/api/_platform/apps", {"name": "mall"})).require(201)
    assert_error(await house.admin.in_app("mall").get("auth/me"), 401, "UNAUTHORIZED", INVALID)
    for path in ("auth/me", "apps", "users"):
        assert_error(await house.admin.get(f"/api/_platform/{path}"), 401, "UNAUTHORIZED", INVALID)


async def test_a_token_of_a_former_app_of_the_name(house):
    (await house.platform.delete("/api/_platform/apps/shop")).require(200)
    (await house.platform.post("/api/_platform/apps", {"name": "shop"})).require(201)
    assert_error(await house.admin.get("auth/me"), 401, "UNAUTHORIZED", INVALID)


async def test_the_app_is_looked_at_before_the_token(house):
    assert_error(await house.stranger.get("/api/nowhere/auth/me"), 404, "APP_NOT_FOUND")
    assert_error(await house.admin.get("/api/nowhere/auth/me"), 404, "APP_NOT_FOUND")
    assert_error(await house.stranger.post("book", content=b"{"), 400, "INVALID_PAYLOAD")


async def test_platform_users_in_apps(house):
    users = "/api/_platform/users"
    body = {"email": "guest@example.com", "password": "correct horse", "roles": ["Admin", "Clerk"]}
    (await house.platform.post(users, body)).require(201)
    guest = await signed_in(house.running.client, "guest@example.com", "correct horse")
    in_shop = guest.in_app("shop")
    assert (await in_shop.get("auth/me")).data["roles"] == ["clerk"]
    assert_error(await in_shop.get("_admin/users"), 403, "FORBIDDEN", "Admin access required")
    assert_error(await guest.get(users), 403, "FORBIDDEN", "Admin access required")
    assert (await guest.get("/api/_platform/auth/me")).data["roles"] == ["Admin", "Clerk"]
    ruler = house.platform.in_app("shop")
    assert (await ruler.get("auth/me")).data["roles"] == ["admin", "platform_admin"]
    assert (await ruler.get("_admin/users")).status == 200


async def test_a_role_of_the_platform_means_nothing_in_an_app(house):
    ann = await house.user("ann@example.com", "platform_admin", "PLATFORM_ADMIN")
    assert_error(await ann.get("_admin/users"), 403, "FORBIDDEN", "Admin access required")
    assert_error(await ann.get("/api/_platform/apps"), 401, "UNAUTHORIZED", INVALID)


async def test_role_names_compare_without_case(house):
    ann = await house.user("ann@example.com", "ADMIN")
    assert (await ann.get("_admin/users")).status == 200
    assert (await house.row("ann@example.com"))["roles"] == ["ADMIN"]


@pytest.fixture
async def shelves(house: House) -> House:
    """The house with an entity, which administrators may read."""
    await house.admin.define(entity("book", title="string"))
    return house


async def elsewhere(house: House, start_kernel, who: Client) -> Client:
    """The same caller at another process, which has met the token before."""
    other = await start_kernel([QuickAuth])
    client = Client(other.kernel, other.quart, who.app_name, who.headers)
    (await client.get("book")).require(200)
    return client


CHANGES = {
    "roles": ({"roles": ["clerk"]}, 403, "Admin access required"),
    "active": ({"active": False}, 401, "Account is disabled"),
    "password": ({"password": "battery staple"}, 401, INVALID),
}


@pytest.mark.parametrize("change", [*CHANGES, "deleted"])
async def test_a_change_of_a_user_counts_at_the_next_request_of_every_process(shelves, start_kernel, change):
    ann = await shelves.user("ann@example.com", "admin")
    (await ann.get("book")).require(200)
    there = await elsewhere(shelves, start_kernel, ann)
    if change == "deleted":
        status, message = 401, INVALID
        (await shelves.admin.delete(f"_admin/users/{(await shelves.row('ann@example.com'))['id']}")).require(200)
    else:
        values, status, message = CHANGES[change]
        (await shelves.change("ann@example.com", **values)).require(200)
    for client in (there, ann):
        for answer in (
            await client.get("_admin/nonsense"),
            await client.put("_admin/nonsense", {}),
            await client.get("_admin/users"),
        ):
            assert (answer.status, answer.error["message"]) == (status, message)
    if status == 401:
        for client in (there, ann):
            for answer in (
                await client.get("book"),
                await client.get("book?filter[nonsense]=1"),
                await client.get("book/7"),
                await client.get("nonsense"),
                await client.post("book", {"title": "Emma"}),
                await client.post("book", {"nonsense": 1}),
                await client.post("book?explain=true", {"title": "Emma"}),
                await client.post("book?explain=maybe", {"title": "Emma"}),
                await client.put("book/7", {}),
                await client.delete("book/7"),
            ):
                assert_error(answer, 401, "UNAUTHORIZED", message)
        assert (await shelves.admin.get("book")).meta["total"] == 0


@pytest.mark.parametrize("method", ["get", "put"])
async def test_a_right_that_is_given_counts_at_the_next_request_of_every_process(shelves, start_kernel, method):
    ann = await shelves.user("ann@example.com", "clerk")
    other = await start_kernel([QuickAuth])
    there = Client(other.kernel, other.quart, "shop", ann.headers)
    for client in (there, ann):
        assert_error(await getattr(client, method)("_admin/nonsense"), 403, "FORBIDDEN")
    (await shelves.change("ann@example.com", roles=["Admin"])).require(200)
    for client in (there, ann):
        assert_error(await getattr(client, method)("_admin/nonsense"), 404, "UNKNOWN_ENTITY")


async def test_a_change_of_a_platform_user_counts_at_the_next_request(shelves, start_kernel):
    users = "/api/_platform/users"
    body = {"email": "second@example.com", "password": "correct horse"}
    row = (await shelves.platform.post(users, body)).require(201).data
    second = (await signed_in(shelves.running.client, "second@example.com", "correct horse")).in_app("shop")
    there = await elsewhere(shelves, start_kernel, second)
    for values, status in (({"roles": []}, 403), ({"roles": ["platform_admin"]}, 200), ({"active": False}, 401)):
        (await shelves.platform.put(f"{users}/{row['id']}", {"email": "second@example.com", **values})).require(200)
        for client in (there, second):
            assert (await client.get("_admin/users")).status == status
            assert (await client.get("/api/_platform/apps")).status == status


async def test_a_remembered_caller_costs_no_statement_of_its_own(shelves, monkeypatch):
    app = await shelves.running.kernel.apps.app("shop")
    statements: list[str] = []
    run = app.store.run

    class Noting:
        def __init__(self, session):
            self.session, self.dialect = session, session.dialect

        async def fetch(self, sql, params=()):
            statements.append(sql)
            return await self.session.fetch(sql, params)

        def __getattr__(self, name):
            return getattr(self.session, name)

    async def noting(work, check=None):
        return await run(lambda session: work(Noting(session)), check)

    monkeypatch.setattr(type(app.store), "run", lambda _store, work, check=None: noting(work, check))
    await shelves.admin.create("book", {"title": "Emma"})
    await shelves.user("ann@example.com")
    await shelves.change("ann@example.com", roles=["clerk"])
    statements.clear()
    await shelves.admin.get("book")
    first, statements[:] = list(statements), []
    await shelves.admin.get("book")
    assert any("_users" in sql for sql in first)
    assert statements
    assert not any("_users" in sql for sql in statements)


async def test_remembered_tokens_are_bounded(house, monkeypatch):
    monkeypatch.setattr("rocket_auth.callers._KEPT", 3)
    app = await house.running.kernel.apps.app("shop")
    app.stash.clear()
    clients = [await signed_in(house.stranger, **ADMIN) for _ in range(5)]
    for client in clients * 2:
        assert (await client.get("auth/me")).status == 200
    (memory,) = [kept for kept in app.stash.values() if isinstance(kept, TokenMemory)]
    assert len(memory) == 3


async def test_a_token_too_long_to_remember_works(house, monkeypatch):
    monkeypatch.setattr("rocket_auth.callers._LONGEST_KEPT", 10)
    for _ in range(2):
        assert (await house.admin.get("auth/me")).status == 200
    assert (await login(house.running.client, **PLATFORM)).status == 200


async def test_users_have_no_way_to_their_own_roles(house):
    ann = await house.user("ann@example.com", "clerk")
    own = (await ann.get("auth/me")).data["id"]
    raised = {"email": "ann@example.com", "roles": ["admin"], "active": True, "password": "battery staple"}
    refused = [
        await ann.put(f"_admin/users/{own}", raised),
        await ann.post("_admin/users", {**raised, "email": "eve@example.com"}),
        await ann.delete(f"_admin/users/{own}"),
        await ann.post("_admin/invites", {"email": "eve@example.com", "roles": ["admin"]}),
        await ann.post("_admin/invites/bulk", {"emails": ["eve@example.com"], "roles": ["admin"]}),
        await ann.post("_admin/import", {"sample_data": {"_users": [{"id": own, "roles": ["admin"]}]}}),
        await ann.post("_admin/entities", entity("_users")),
    ]
    assert {answer.status for answer in refused} == {403}
    for table in ("_users", "_Users", "%5Fusers", "users"):
        for answer in (
            await ann.get(table),
            await ann.post(table, raised),
            await ann.put(f"{table}/{own}", raised),
            await ann.patch(f"{table}/{own}", raised),
            await ann.delete(f"{table}/{own}"),
        ):
            assert answer.status in (403, 404), str(answer)
    assert (await ann.put("auth/me", raised)).status == 405
    body = {"current_password": "correct horse", "new_password": "battery staple", "roles": ["admin"], "email": "x@y.z"}
    pair = (await ann.post("auth/change-password", body)).require(200).data
    refreshed = await ann.post("auth/refresh", {"refresh_token": pair["refresh_token"], "roles": ["admin"]})
    ann = ann.with_headers(bearer(refreshed.require(200).data["access_token"]))
    assert (await ann.get("auth/me")).data["roles"] == ["clerk"]
    assert (await ann.get("_admin/users")).status == 403


async def test_even_administrators_reach_users_by_no_record_endpoint(house):
    definition = entity("account", email="string")
    for table in ("_users", "_refresh_tokens", "_invites", "_permissions"):
        refused = await house.admin.post("_admin/entities", {**definition, "table": table})
        assert_error(refused, 422, "VALIDATION_FAILED")
        assert_error(await house.admin.get(table), 404, "UNKNOWN_ENTITY")
    document = {"sample_data": {"_users": [{"email": "eve@example.com", "roles": ["admin"]}]}}
    (await house.admin.post("_admin/import", document)).require(200)
    assert [row["email"] for row in (await house.admin.get("_admin/users")).data] == ["admin@localhost"]


async def test_passwords_and_hashes_are_in_no_answer(house):
    await house.user("ann@example.com", password="correct horse")
    for answer in (
        await house.admin.get("_admin/users"),
        await house.admin.get("_admin/export"),
        await house.platform.get("/api/_platform/users"),
        await house.platform.get("/api/_platform/apps"),
    ):
        assert answer.status == 200
        assert "$2b$" not in answer.text
        assert "secret" not in answer.text
        assert "generation" not in answer.text


async def test_what_is_stored_of_tokens_is_a_hash(house):
    pair = (await house.login(**ADMIN)).data
    app = await house.running.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        rows = await OF_APPS.refresh_tokens.select(session)
    assert hashlib.sha256(pair["refresh_token"].encode()).hexdigest() in {row["token_hash"] for row in rows}
    assert pair["refresh_token"] not in json.dumps(rows)
    assert len(base64.urlsafe_b64decode(pair["refresh_token"] + "==")) * 8 >= 256
    assert all(row["expires_at"] > row["created_at"] for row in rows)
