"""Secrets and values of sensitive fields stand nowhere that they were not asked for.

A canary is a text that occurs once. Those of `secrets` go into an app by every way there is, also by calls that fail;
then they are looked for in all that the app says of itself. Those of `controls` are ordinary: each must be found where
it belongs, so that a place nobody looks into any more makes the test fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from rocket_auth.testing import ADMIN, PLATFORM, QuickAuth, bearer, login, signed_in
from rocket_kernel import Plugin, RocketError, Stage, Step, TableRows, hookimpl
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.testing import Answer, Client, entity, one_to_many

BOUNDARY = "x-boundary-x"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
PERSON = entity(
    "person",
    {"audit": True},
    name="string!",
    ssn="string sensitive unique",
    kind="string sensitive enum=a|b",
    born="date sensitive",
    notes="json sensitive",
    state="string default=new",
    photo="file",
)
PET = entity("pet", {"audit": True}, person_id="uuid", name="string", chip="string sensitive")
PLACES = ("answers of errors", "events", "event rows", "history", "audit rows", "explain", "webhook logs", "instances",
          "metrics", "log", "access log")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watched:
    """A client that keeps what was refused."""

    client: Client
    refusals: list[str]

    async def __call__(self, method: str, path: str, *args: Any, **options: Any) -> Answer:
        answer = await self.client.request(method, path, *args, **options)
        if answer.status >= 400:
            self.refusals.append(f"{answer.status} {answer.text} {dict(answer.headers)}")
        return answer

    def called(self, **headers: str) -> Watched:
        return Watched(self.client.with_headers(headers), self.refusals)


STATEMENTS = ("CAST({0} AS UUID)", "CAST(CAST({0} AS TEXT) AS UUID)", "no_such_function({0})")
"""Each breaks on some database: in the driver, in the server with the value in its text, or before it looks at values."""


class Careless(Plugin):
    """Lets errors of the database out into the log, and says what it was doing."""

    name = "careless"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.statement = self.saying = ""

    @hookimpl
    def compile_write_steps(self, entity: Any) -> list[Step]:
        return [Step(Stage.RULES, "careless:break", self.break_down)] if entity.name == "person" else []

    async def break_down(self, write: Any) -> None:
        if not self.statement:
            return
        session = write.run.session
        sql = self.statement.format(session.dialect.placeholder(1))
        try:
            await session.fetch(f"SELECT {sql}", [write.record["ssn"]])
        except RocketError as error:
            raise RuntimeError(self.saying) from error


class Story:
    """An app in which everything happens that a canary could escape by."""

    def __init__(self, running: Any, canaries: Any, receiver: Any) -> None:
        self.running, self.canaries, self.receiver = running, canaries, receiver
        self.refusals: list[str] = []
        self.explained: list[str] = []
        self.files: dict[str, str] = {}
        self.person = ""

    async def begin(self) -> None:
        platform = await signed_in(self.running.client, **PLATFORM)
        await platform.app("shop")
        self.platform = platform
        self.nobody = Watched(self.running.client.in_app("shop"), self.refusals)
        session = (await login(self.nobody.client, **ADMIN)).data
        self.canaries.token("access token", session["access_token"])
        self.canaries.secret("refresh token", session["refresh_token"])
        self.admin = self.nobody.called(**bearer(session["access_token"]))
        await self.admin.client.define(PERSON, PET)
        await self.admin.client.relate(one_to_many("pets", "person", "pet"))

    async def sign_in_and_out(self) -> None:
        secret, ask = self.canaries.secret, self.nobody
        password, chosen = secret("password"), secret("chosen password")
        user = {"email": "ann@example.com", "password": password, "roles": ["staff"]}
        (await self.admin("POST", "_admin/users", user)).require(201)
        await self.admin("POST", "_admin/users", user)
        await self.admin("POST", "_admin/users", {**user, "email": password})
        await ask("POST", "auth/login", {"email": user["email"], "password": secret("wrong password")})
        await ask("POST", "auth/login", {"email": secret("password for a name"), "password": 1})
        await ask("POST", "auth/login", content=b'{"email": "' + secret("broken body").encode())
        pair = (await login(ask.client, user["email"], password)).require(200).data
        ann = ask.called(**bearer(self.canaries.token("her access token", pair["access_token"])))
        await ann("POST", "auth/change-password", {"current_password": chosen, "new_password": "x"})
        change = {"current_password": password, "new_password": chosen}
        fresh = (await ann("POST", "auth/change-password", change)).require(200).data
        old = {"refresh_token": secret("replaced token", pair["refresh_token"])}
        await ask("POST", "auth/refresh", old)
        await ask("POST", "auth/refresh", {"refresh_token": secret("no token at all")})
        await ask("POST", "auth/logout", {"refresh_token": secret("her last token", fresh["refresh_token"])})
        for header in (secret("malformed token"), f"Bearer {secret('forged token')}", f"Basic {secret('basic')}"):
            await ask.called(Authorization=header)("GET", "person")
        invite = (await self.admin("POST", "_admin/invites", {"email": "bob@example.com"})).require(201).data
        accept = {"token": secret("invite", invite["token"]), "password": secret("password of an invite")}
        (await ask("POST", "auth/accept-invite", accept)).require(201)
        await ask("POST", "auth/accept-invite", accept)
        await ask("POST", "auth/accept-invite", {**accept, "token": secret("made-up invite")})

    async def define(self) -> None:
        secret, ask, hook = self.canaries.secret, self.admin, "_admin/webhooks"
        headers = {
            "Authorization": f"Bearer {secret('header of a webhook')}",
            "X-Key": "{{env.ROCKET_WEBHOOK_KEY}}",
            "X-Plain": self.canaries.control("webhook logs"),
        }
        made = {
            "entity": "person",
            "url": f"{self.receiver.url}/told",
            "headers": headers,
            "retry": {"max_attempts": 1},
        }
        told = (await ask("POST", hook, made)).require(201).data
        self.canaries.secret("secret of a webhook", told["secret"].removeprefix("whsec_"))
        turned = (await ask("POST", f"{hook}/{told['id']}/rotate-secret")).require(200).data
        self.canaries.secret("new secret of a webhook", turned["secret"].removeprefix("whsec_"))
        (await ask("POST", hook, {**made, "url": "http://127.0.0.1:9/away", "hook": "after_delete"})).require(201)
        judge = {"hook": "before_write", "url": f"{self.receiver.url}/judge", "condition": "record.state == 'judged'"}
        (await ask("POST", hook, {"entity": "person", **judge})).require(201)
        broken = {"hook": "after_write", "url": f"{self.receiver.url}/x", "condition": "number(record.ssn) > 1"}
        (await ask("POST", hook, {"entity": "person", **broken})).require(201)
        rule = {"expression": "number(record.ssn) > 1", "message": "ssn must be a number"}
        bad = {"entity": "person", "hook": "before_write", "type": "expression", "definition": rule, "active": False}
        self.rule = (await ask("POST", "_admin/rules", bad)).require(201).data["id"]
        context = {"copy": "record.ssn", "whole": "trigger.record", "name": "record.name"}
        actions: list[Any] = [
            {"type": "send_event", "event": "moved", "payload": {"told": "context.copy", "all": "context.whole"}},
            {"type": "webhook", "url": f"{self.receiver.url}/flow", "retry": {"max_attempts": 1}},
            {"type": "set_field", "entity": "person", "record_id": "context.copy", "field": "state", "value": "x"},
        ]
        for number, action in enumerate(actions):
            trigger = {"type": "state_change", "entity": "person", "field": "state", "to": "moved"}
            flow = {"name": f"flow{number}", "trigger": trigger, "context": context}
            steps = [{"id": "act", "type": "action", "actions": [action]}]
            (await ask("POST", "_admin/workflows", {**flow, "steps": steps})).require(201)
        heard = {
            "name": "heard",
            "trigger": {"type": "event", "event": "moved"},
            "context": {"it": "trigger.payload.told"},
        }
        rest = [{"id": "ask", "type": "approval", "assignee": {"type": "role", "role": "staff"}}]
        (await ask("POST", "_admin/workflows", {**heard, "steps": rest})).require(201)

    def body(self, **more: Any) -> dict[str, Any]:
        """A person with values nobody may see."""
        secret, turn = self.canaries.secret, uuid4().hex
        return {"name": self.canaries.control("history"), "ssn": secret(f"ssn {turn}"), "kind": "a", **more,
                "notes": {"inner": secret(f"notes {turn}")}, "pets": [{"name": "Rex", "chip": secret(f"chip {turn}")}]}  # fmt: skip

    async def write(self) -> None:
        ask, secret = self.admin, self.canaries.secret
        echo = self.canaries.secrets.setdefault("ssn that is sent back", f"canary-{uuid4().hex}")
        self.receiver.answer(status=500, body=f"no {echo} here, {self.canaries.control('receiver')}".encode())
        first = (await ask("POST", "person", self.body(ssn=echo), headers={"Idempotency-Key": "1"})).require(201).data
        self.person = first["id"]
        for status in (403, 500):
            self.receiver.answer(status=status, json={"ssn": echo})
            await ask("PATCH", f"person/{self.person}", {"ssn": secret(f"judged {status}"), "state": "judged"})
        (await ask("PATCH", f"person/{self.person}", {"ssn": secret("moved"), "state": "moved"})).require(200)
        await ask("POST", "person", self.body(ssn=secret("moved")))
        await ask("POST", "person", self.body(ssn=echo), headers={"Idempotency-Key": "1"})
        for fault in ({"kind": secret("no kind")}, {"born": secret("no date")}, {"ssn": [secret("a list")], "born": 5}):
            await ask("POST", "person", self.body(**fault))
        await ask("POST", "person", {"pets": [{"chip": secret("chip of nobody"), "person": 1}]})
        await ask("PATCH", f"person/{self.person}", {"ssn": secret("stale")}, headers={"If-Match": '"x"'})
        await ask("PATCH", f"person/{uuid4()}", {"ssn": secret("of nobody")})
        await ask("PUT", f"_admin/rules/{self.rule}", {"active": True})
        await ask("POST", "person", self.body())
        await ask("PUT", f"_admin/rules/{self.rule}", {"active": False})
        careless = self.running.kernel.parts.plugins.find("careless")
        careless.saying = f"while saying {self.canaries.control('log')}"
        for statement in (*STATEMENTS, ""):
            careless.statement = statement
            await ask("POST", "person", self.body())

    async def read(self) -> None:
        ask, secret = self.admin, self.canaries.secret
        for name in ("born", "notes", "ssn"):
            await ask("GET", "person", params={f"filter[{name}]": secret(f"sought {name}")})
        await ask("GET", "person", params={"filter[name.gt.x]": self.canaries.control("answers of errors")})
        await ask("GET", "person", params={"filter[state.between]": self.canaries.controls["answers of errors"]})
        test = {"expression": "record.ssn + 1 > number(record.ssn)", "record": {"ssn": secret("tried out")}}
        await ask("POST", "_admin/expressions/test", test)

    async def explain(self) -> None:
        ask, control = self.admin, self.canaries.control("explain")
        for method, path, body in (
            ("POST", "person", self.body(name=control)),
            ("POST", "person", self.body(ssn=self.canaries.secrets["moved"])),
            ("POST", "person", self.body(kind=self.canaries.secret("no kind, explained"))),
            ("PATCH", f"person/{self.person}", {"ssn": self.canaries.secret("explained")}),
            ("DELETE", f"person/{self.person}", {}),
        ):
            self.explained.append((await ask(method, f"{path}?explain=true", body)).require(200).text)

    async def use_files(self) -> None:
        ask = self.admin
        content = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nHello\r\n'
        upload = {"content": f"{content}--{BOUNDARY}--\r\n".encode(), "headers": FORM}
        file = (await ask("POST", "_files/upload", **upload)).require(201).data
        url = (await ask("GET", f"_files/{file['id']}/url")).require(200).data["url"]
        self.canaries.secret("signature of a file", url.partition("signature=")[2].partition("&")[0])
        (await self.nobody("GET", url)).require(200)
        await self.nobody("GET", f"{url}x")
        await self.nobody("GET", f"_files/{file['id']}?expires=1&signature={self.canaries.secret('forged signature')}")

    async def import_and_send(self) -> None:
        ask, secret = self.admin, self.canaries.secret
        rows = [{"name": "i", "ssn": secret("imported")}, {"name": "j", "ssn": secret("imported")}, {"name": "k"}]
        rows += [{"name": "l", "born": secret("imported wrong")}, {"ssn": secret("imported nameless")}]
        document = {"version": 1, "entities": [PERSON], "sample_data": {"person": rows}}
        answer = (await ask("POST", "_admin/import", document)).require(200)
        self.refusals.append(str(answer.data.get("errors")))
        event = {
            "action": "seen",
            "entity": "person",
            "metadata": {"ssn": secret("sent"), "of": self.canaries.control("events")},
        }
        (await ask("POST", "_events", event)).require(201)
        (await ask("DELETE", f"person/{self.person}")).require(200)

    async def rows(self, beginning: str) -> str:
        """Of all tables whose names begin so."""
        app = await self.running.kernel.apps.app("shop")
        tables = [table for table in self.running.kernel.parts.tables if table.name.startswith(beginning)]
        async with app.reading() as (session, _):
            return str([await TableRows(table).select(session) for table in tables])

    async def pages(self, path: str, pages: int = 40) -> str:
        """Everything that a list shows."""
        texts = []
        for page in range(1, pages):
            answer = (await self.admin("GET", path, params={"page": page, "per_page": 100})).require(200)
            texts.append(answer.text)
            if not answer.data or page >= answer.meta["total_pages"]:
                break
        return "".join(texts)

    async def told(self, log: Any, printed: str) -> Mapping[str, str]:
        """All that the app says of itself, by the places that it says it in."""
        people = [self.person, *(row["id"] for row in (await self.admin("GET", "person")).data)]
        pets = [row["id"] for row in (await self.admin("GET", "pet?per_page=200")).data]
        history = [await self.pages(f"person/{id}/_history") for id in people]
        history += [await self.pages(f"pet/{id}/_history") for id in pets]
        logs = (await self.admin("GET", "_admin/webhook-logs")).require(200)
        single = [(await self.admin("GET", f"_admin/webhook-logs/{row['id']}")).text for row in logs.data]
        instances = [await self.pages("_workflows"), (await self.admin("GET", "_workflows/pending")).text]
        return {
            "answers of errors": "\n".join(self.refusals),
            "events": await self.pages("_events") + (await self.admin("GET", "_events/stats")).text,
            "event rows": await self.rows("_event"),
            "history": "".join(history),
            "audit rows": await self.rows("_audit"),
            "explain": "".join(self.explained),
            "webhook logs": logs.text + "".join(single),
            "instances": "".join(instances),
            "metrics": (await self.platform.get("/metrics")).require(200).text,
            "log": "\n".join(log.lines),
            "access log": printed,
        }


async def test_no_canary_is_told(start_kernel, receiver, canaries, log, capfd, monkeypatch):
    monkeypatch.setenv("ROCKET_WEBHOOK_KEY", canaries.secret("header from the environment"))
    plugins = [QuickAuth if plugin.name == "auth" else plugin for plugin in installed_plugins()]
    running = await start_kernel(
        [*plugins, Careless],
        config={"platform_jwt_secret": canaries.secret("secret of the platform")},
        settings={
            "webhooks": {"allow_addresses": ["127.0.0.0/8"]},
            "instrumentation": {"access_log": "json"},
        },
    )
    story = Story(running, canaries, receiver)
    await story.begin()
    app = await running.kernel.apps.app("shop")
    canaries.secret("secret of the app", app.secret.reveal())
    for chapter in (story.sign_in_and_out, story.define, story.use_files, story.write, story.read, story.explain,
                    story.import_and_send):  # fmt: skip
        await chapter()
    await settled(story)
    found = await story.told(log, "".join(capfd.readouterr()))
    assert tuple(found) == PLACES
    assert canaries.escaped(found) == []
    require_controls(found, canaries, story)


def require_controls(found: Mapping[str, str], canaries: Any, story: Story) -> None:
    """Ordinary values are where they belong, so the search has looked at what there is."""
    for place in ("answers of errors", "explain", "events", "webhook logs", "history", "log"):
        assert canaries.controls[place] in found[place], place
    assert canaries.controls["events"] in found["event rows"]
    assert canaries.controls["history"] in found["audit rows"]
    assert canaries.controls["history"] in found["instances"]
    assert canaries.controls["receiver"] in found["webhook logs"]
    for place in ("history", "audit rows", "explain", "webhook logs", "instances", "event rows"):
        assert "***" in found[place], place
    for place in ("events", "access log", "log"):
        assert "/api/shop/person" in found[place], place
    assert 'app="shop"' in found["metrics"]
    assert len(canaries.secrets) > 60


async def settled(story: Story) -> None:
    """Deliveries and workflows have come to an end, and spans are stored."""
    site = story.admin

    async def over() -> bool:
        logs = (await site("GET", "_admin/webhook-logs")).data
        instances = (await site("GET", "_workflows?per_page=200")).data
        waits = [row for row in instances if row["status"] == "running" and row["current_step"] != "ask"]
        return not waits and all(row["status"] in ("delivered", "failed") for row in logs) and len(instances) >= 4

    for _ in range(400):
        if await over():
            break
        await asyncio.sleep(0.05)
    assert await over()
    await asyncio.sleep(0.5)  # spans are stored behind the answers
