"""The help desk, as customers, agents and their lead use it."""

from __future__ import annotations

from typing import Any

from rocket_kernel.testing import Client

SCREENSHOT = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def test_helpdesk(open_site, findings, forbidden):
    site = await open_site("helpdesk")
    customer = await site.person("customer", "customer")
    other = await site.person("edsger", "customer")
    agent = await site.person("agent", "agent")
    lead = await site.person("lead", "lead")
    ticket = await customers_ask(site, customer, findings, forbidden)
    await everybody_sees_what_is_theirs(customer, other, agent, forbidden, ticket)
    await agents_answer(site, customer, agent, findings, forbidden, ticket)
    await refunds_are_decided(site, agent, lead, findings, forbidden)
    await pictures_are_shown_to_those_who_may_read_the_ticket(customer, other, agent, ticket)
    await the_lead_keeps_order(site, agent, lead, findings, forbidden)


async def customers_ask(site: Any, customer: Client, findings: Any, forbidden: Any) -> str:
    question = {"subject": "Smoke!", "priority": "urgent", "reporter_email": "customer@example.com"}
    assert findings(await customer.post("ticket", {**question, "subject": "Help"})) == [
        ("subject", "Say in five characters or more what it is about")
    ]
    strange = await customer.post("ticket", {**question, "reporter_email": "edsger@example.com"})
    assert forbidden(strange) == "Permission denied for create on ticket"
    assert findings(await customer.post("ticket", {**question, "refund": "10"})) == [
        ("refund", "No permission to write refund")
    ]
    ticket = await customer.create("ticket", question)
    assert (ticket["status"], ticket["refund_status"]) == ("new", "none")
    assert "weight" not in ticket
    told = await site.called("/chat.example.com/hooks/urgent", id=ticket["id"])
    assert (told["action"], told["user"]["roles"], told["record"]["weight"]) == ("create", ["customer"], 8)
    return f"ticket/{ticket['id']}"


async def everybody_sees_what_is_theirs(
    customer: Client, other: Client, agent: Client, forbidden: Any, ticket: str
) -> None:
    assert (await customer.get("ticket")).meta["total"] == 3
    assert (await agent.get("ticket")).meta["total"] == 4
    assert (await other.get(ticket)).status == 404
    comments = (await customer.get("ticket/1?include=comments,tags")).require(200).data
    assert [comment["body"] for comment in comments["comments"]] == ["Which model is it?"]
    assert [tag["name"] for tag in comments["tags"]] == ["printer"]
    assert len((await agent.get("ticket/1?include=comments")).data["comments"]) == 2
    assert forbidden(await customer.get("agent")) == "Permission denied for read on agent"
    assert forbidden(await customer.get("ticket?sort=-weight")) == "Permission denied for read on ticket.weight"
    assert forbidden(await customer.get("_admin/users")) == "Admin access required"
    assert (await customer.get("_ui/config/ticket")).data["config"]["list"]["title"] == "Tickets"
    assert (await customer.post("comment", {"ticket_id": 2, "body": "Let me in"})).status == 403
    written = await customer.create("comment", {"ticket_id": 1, "author": "Grace", "body": "The blue one."})
    assert "visible_to" not in written


async def agents_answer(site: Any, customer: Client, agent: Client, findings: Any, forbidden: Any, ticket: str) -> None:
    early = await customer.put(ticket, {"status": "open"})
    assert forbidden(early) == "Transition from 'new' to 'open' not permitted for your role"
    assert findings(await agent.put(ticket, {"status": "solved", "solution": "Water"})) == [
        ("status", "Invalid transition from 'new' to 'solved'")
    ]
    spam = await agent.put(ticket, {"status": "closed"})
    assert forbidden(spam) == "Transition from 'new' to 'closed' not permitted for your role"
    (await agent.put(ticket, {"status": "open"})).require(200)
    waiting = await customer.put(ticket, {"status": "waiting"})
    assert forbidden(waiting) == "Transition from 'open' to 'waiting' not permitted for your role"
    assert findings(await agent.put(ticket, {"status": "solved"})) == [(None, "A solved ticket tells its solution")]
    assert findings(await agent.put(ticket, {"status": "solved", "solution": "Water"})) == [
        ("status", "Transition from 'open' to 'solved' blocked by guard")
    ]
    moves = (await agent.get(f"{ticket}/_transitions")).require(200).data
    assert [(move["to"], move["allowed"]) for move in moves if move["field"] == "status"] == [
        ("waiting", True),
        ("solved", False),
    ]
    done = (await agent.put(ticket, {"status": "solved", "solution": "Water", "agent_id": 1})).require(200).data
    assert done["solved_at"] is not None
    asked = await site.called("/survey.example.com/hooks/solved", id=done["id"])
    assert asked["changes"]["status"] == {"old": "open", "new": "solved"}
    (await customer.put(ticket, {"status": "closed"})).require(200)
    (last,) = (await customer.get(f"{ticket}?include=comments")).data["comments"]
    assert (last["author"], last["body"]) == ("customer@example.com", "Closed")


async def refunds_are_decided(site: Any, agent: Client, lead: Client, findings: Any, forbidden: Any) -> None:
    cheat = await site.admin.put("ticket/2", {"refund_status": "approved"})
    assert findings(cheat) == [("refund_status", "Invalid transition from 'none' to 'approved'")]
    assert findings(await agent.put("ticket/1", {"refund_status": "requested"})) == [(None, "A refund needs an amount")]
    assert findings(await agent.put("ticket/1", {"refund": "-1"})) == [("refund", "A refund is not negative")]
    (await agent.put("ticket/2", {"refund_status": "requested"})).require(200)
    assert findings(await site.admin.delete("ticket/2")) == [(None, "Its refund is being decided upon")]
    asked = await site.pending(lead, "refund")
    assert (asked["current_step"], asked["context"]["amount"]) == ("ask", "120.00")
    assert (await agent.get("_workflows/pending")).data == []
    refused = await agent.post(f"_workflows/{asked['id']}/approve")
    assert forbidden(refused) == "You are not an assignee of this step"
    assert findings(await agent.put("ticket/2", {"refund": "5"})) == [
        (None, "The amount stays while it is decided upon")
    ]
    decided = await lead.post(f"_workflows/{asked['id']}/approve", {"comment": "Our fault"})
    assert decided.require(200).data["history"][-1]["comment"] == "Our fault"
    record = await site.value("ticket/2?include=comments", "refund_status", "approved")
    assert (await lead.post(f"_workflows/{asked['id']}/approve")).status == 422
    ended = await site.eventually(lambda: completed(site, asked["id"]))
    assert [entry["status"] for entry in ended["history"]] == ["on_true", "approved", "completed"]
    comments = (await site.admin.get(f"ticket/{record['id']}?include=comments")).data["comments"]
    assert comments[-1]["body"] == "Your refund is on its way"
    (await agent.put("ticket/1", {"refund": "20", "refund_status": "requested"})).require(200)
    await site.value("ticket/1", "refund_status", "approved")


async def completed(site: Any, instance: str) -> dict[str, Any] | None:
    found = (await site.admin.get(f"_workflows/{instance}")).require(200).data
    return found if found["status"] == "completed" else None


async def pictures_are_shown_to_those_who_may_read_the_ticket(
    customer: Client, other: Client, agent: Client, ticket: str
) -> None:
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="smoke.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = head + SCREENSHOT + b"\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    uploaded = (await customer.post("_files/upload", content=body, headers=form)).require(201).data
    kept = (await customer.put(ticket, {"screenshot": uploaded["id"]})).require(200).data["screenshot"]
    assert (kept["filename"], kept["mime_type"], kept["size"]) == ("smoke.png", "image/png", len(SCREENSHOT))
    assert (await agent.get(kept["url"])).require(200).body == SCREENSHOT
    assert (await other.get(kept["url"])).status == 404


async def the_lead_keeps_order(site: Any, agent: Client, lead: Client, findings: Any, forbidden: Any) -> None:
    newcomer = {"name": "Alan", "email": "alan@example.com", "team_id": 1, "profile": {"phone": "+44 20 7946 0103"}}
    assert forbidden(await agent.post("agent", newcomer)) == "Permission denied for create on agent"
    hired = await lead.create("agent", newcomer)
    profile = (await lead.get(f"agent/{hired['id']}?include=profile,team")).data
    assert (profile["profile"]["phone"], profile["team"]["name"]) == ("+44 20 7946 0103", "First line")
    assert findings(await agent.put("customer/2", {"vip": True})) == [("vip", "No permission to write vip")]
    assert (await lead.put("customer/2", {"vip": True})).require(200).data["vip"] is True
    tagged = await agent.put("ticket/1", {"tags": [{"name": "drum"}]})
    tagged.require(200)
    tags = (await agent.get("ticket/1?include=tags")).data["tags"]
    assert sorted(tag["name"] for tag in tags) == ["drum", "printer"]
    assert (await agent.delete("ticket/1")).status == 403
    assert forbidden(await lead.delete("ticket/1")) == "Permission denied for delete on ticket"
    (await lead.put("ticket/3", {"status": "closed"})).require(200)
    (await lead.delete("ticket/3")).require(200)
    assert (await site.admin.get("comment?filter[ticket_id]=3")).meta["total"] == 0
    kept = await site.admin.delete("team/1")
    assert kept.require(409).error["message"] == "Cannot delete: 2 related agent records exist"
