"""What servers write down, and what is said when databases and storages are in trouble, tells no secrets."""

from __future__ import annotations

import sys

import pytest

from rocket_auth.testing import ADMIN, PLATFORM, QuickAuth, bearer, signed_in
from rocket_files import FilesPlugin
from rocket_kernel import StartupError
from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import ServerProcess, free_port

PERSON = entity("person", {"audit": True}, name="string!", ssn="string sensitive unique", age="int sensitive")
LOUD = """
import os
os.dup2(2, 1)
import rocket_kernel.serving.logs as logs
quiet = logs.log_settings
logs.log_settings = lambda: quiet() | {"root": {"level": "DEBUG", "handlers": ["stderr"]}}
from rocket_kernel.cli import main
main()
"""
"""`rocket` with everything that every library has to say, all of it on standard error."""


SERVERS = {"sqlite": "granian", "postgres": "hypercorn"}
"""What a server writes down has nothing to do with the database behind it, so one of each is enough."""


async def test_what_a_server_writes_down(tmp_path, database, canaries):
    secret = canaries.secret
    config = {
        "plugins.enabled": "all",
        "platform_jwt_secret": secret("secret of the platform"),
        "plugins.settings": {"instrumentation": {"access_log": "text"}},
    }
    environ = {"ROCKET_PLATFORM_PASSWORD": secret("password"), "ROCKET_ADMIN_PASSWORD": secret("admin's password")}
    command = (sys.executable, "-c", LOUD)
    place, server = database.config(), SERVERS[database.driver]
    with ServerProcess(tmp_path, place, server=server, config=config, environ=environ, command=command) as running:
        async with running.caller() as call:
            login = {"email": PLATFORM["email"], "password": environ["ROCKET_PLATFORM_PASSWORD"]}
            await call.post("/api/_platform/auth/login", login | {"password": secret("wrong password")})
            pair = (await call.post("/api/_platform/auth/login", login)).require(200).data
            token = bearer(canaries.token("access token", pair["access_token"]))
            secret("refresh token", pair["refresh_token"])
            await call.post("/api/_platform/apps", {"name": "shop"}, **token)
        async with running.caller("shop") as shop:
            (await shop.post("_admin/entities", PERSON, **token)).require(201)
            person = {"name": "Ann", "ssn": secret("value")}
            assert [(await shop.post("person", person, **token)).status for _ in range(2)] == [201, 409]
            assert (await shop.post("person", person | {"age": secret("no number")}, **token)).status == 422
            assert (await shop.get(f"person?filter[ssn]={canaries.secrets['value']}", **token)).meta["total"] == 1
            assert (await shop.get(f"person?filter[age]={secret('sought')}", **token)).status == 400
            assert (await shop.get("person", Authorization=f"Bearer {secret('forged')}")).status == 401
            await shop.get(f"_files/x?expires=1&signature={secret('signature')}")
            await shop.request("BREW", f"person?token={secret('odd method')}")
        async with running.caller() as call:
            (await call.delete("/api/_platform/apps/shop", **token)).require(200)
        running.stop()
        text = running.log
    assert canaries.escaped({"log": text}) == []
    assert "/api/shop/person" in text
    assert "DEBUG" in text


async def test_a_storage_that_refuses_tells_no_keys(start_kernel, receiver, canaries, log, monkeypatch):
    monkeypatch.setattr("rocket_files.s3_blobs._RETRY", {"max_retries": 0})
    keys = {"access_key": canaries.secret("access key"), "secret_key": canaries.secret("secret key")}
    for endpoint in (receiver.url, f"http://127.0.0.1:{free_port()}"):
        echo = f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{keys['access_key']}</AWSAccessKeyId></Error>"
        receiver.answer(status=403, body=echo.encode(), times=None)
        section = {"endpoint": endpoint, "bucket": "files", "region": "us-east-1", "path_style": True, **keys}
        running = await start_kernel([QuickAuth, FilesPlugin], config={"storage.driver": "s3", "storage.s3": section})
        platform = await signed_in(running.client, **PLATFORM)
        name = f"shop{free_port()}"
        await platform.app(name)
        admin = await signed_in(running.client.in_app(name), **ADMIN)
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nHello\r\n--x--\r\n'
        form = {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
        refused = await admin.post("_files/upload", **form)
        assert refused.status == 503
        log.lines.append(refused.text)
        assert canaries.secrets["secret key"] not in f"{running.kernel!r} {running.kernel.parts!r}"
    found = {"log": "\n".join(log.lines)}
    assert canaries.escaped(found) == []
    assert "the file storage failed" in found["log"]


async def test_a_database_that_is_away_tells_no_password(start_kernel, canaries, log):
    config = {
        "database.driver": "postgres",
        "database.host": "127.0.0.1",
        "database.port": free_port(),
        "database.user": "rocket",
        "database.password": canaries.secret("password of the database"),
    }
    with pytest.raises(StartupError) as stopped:
        await start_kernel(config=config, shared=True)
    text = "\n".join([str(stopped.value), repr(stopped.value.__cause__), *log.lines])
    assert canaries.escaped({"text": text}) == []
    assert "cannot be reached" in text
