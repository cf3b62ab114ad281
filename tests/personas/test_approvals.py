"""A script from the marketplace runs only when its exact text was approved; a notice of a persona reaches the plan."""

import pytest

from migrations_engine.services.plan import plan_make
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry
from personas.models.script import Origin
from personas.services import approvals, notices, scripts
from tests import factories
from tests.migrations_engine.estate import make_estate
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(db):
    return factories.make_member(role="admin", name="anna")


@pytest.fixture
def script(admin):
    department = admin.memberships.get().department
    author = factories.make_member(department, "admin", "author")
    bought = {"origin": Origin.MARKETPLACE, "author": author}
    return scripts.script_create(by=admin, department=department, name="Tune", body="echo tuned", **bought)


def concerns(estate):
    plan = plan_make(template=estate.template, vm=estate.vm, personas=[estate.persona], by=estate.operator)
    return {concern["id"]: concern for concern in plan.concerns}


def concern_ids(estate):
    return {name: concern["severity"] for name, concern in concerns(estate).items()}


def test_a_plan_is_refused_until_the_exact_text_is_approved():
    estate = make_estate(role="admin")
    owner = {"by": estate.operator, "department": estate.department}
    script = scripts.script_create(name="Tune", body="echo tuned", origin=Origin.MARKETPLACE, **owner)
    estate.persona.post_migration_script = script
    estate.persona.save()
    assert concern_ids(estate)["script.unapproved"] == "Critical"
    approvals.script_approve(script=script, sha256=script.latest.sha256, by=estate.operator)
    assert "script.unapproved" not in concern_ids(estate)
    scripts.script_update(script=script, by=estate.operator, body="echo other")
    assert concern_ids(estate)["script.unapproved"] == "Critical"


def test_who_published_it_does_not_approve_it(script, admin):
    digest = script.latest.sha256
    with pytest.raises(NotAllowed, match="somebody else"):
        approvals.script_approve(script=script, sha256=digest, by=script.author)
    with pytest.raises(NotAllowed):
        operator = factories.make_member(script.department, "operator")
        approvals.script_approve(script=script, sha256=digest, by=operator)
    with pytest.raises(BadInput):
        approvals.script_approve(script=script, sha256="0" * 64, by=admin)
    assert approvals.unapproved([{"id": str(script.pk), "name": "tune", "sha256": digest}]) == ["tune"]
    approvals.script_approve(script=script, sha256=digest, by=admin)
    assert approvals.unapproved([{"id": str(script.pk), "name": "tune", "sha256": digest}]) == []
    assert AuditEntry.objects.get(action="script.approve").after == {"sha256": digest}


def test_a_copy_is_no_way_around_the_approval(script, admin):
    copy = scripts.script_clone(script=script, by=admin, department=script.department, name="Mine")
    assert (copy.origin, copy.author) == (Origin.MARKETPLACE, script.author)
    assert not copy.is_approved(copy.latest.sha256)


def test_what_was_written_here_needs_no_approval(admin):
    department = admin.memberships.get().department
    script = scripts.script_create(by=admin, department=department, name="Own", body="echo own")
    assert script.is_approved(script.latest.sha256)
    with pytest.raises(Refused, match="needs no approval"):
        approvals.script_approve(script=script, sha256=script.latest.sha256, by=admin)


def test_approving_by_page_and_by_api(client, script, admin):
    client.force_login(admin)
    page = client.get(script.get_absolute_url()).content.decode()
    assert "I have read it: approve" in page
    url = f"/scripts/{script.pk}/approve/"
    assert "Read it again" in client.post(url, {"sha256": "0"}, follow=True).content.decode()
    assert "may run from now on" in client.post(
        url, {"sha256": script.latest.sha256}, follow=True
    ).content.decode()  # fmt: skip
    scripts.script_update(script=script, by=admin, body="echo other")
    api = f"/api/v1/scripts/{script.pk}/"
    assert client_of(admin).get(api).json()["approved"] is False
    told = client_of(admin).post(f"{api}approve/", {"sha256": script.latest.sha256})
    assert (told.status_code, told.json()["approved"]) == (200, True)


def test_a_notice_that_blocks_is_critical_and_another_one_warns():
    estate = make_estate(role="admin")
    said = {"persona": estate.persona, "by": estate.operator}
    better = {"text": "It is deprecated.", "action": "Its successor is dba-team/better."}
    notices.notice_set(source="test.deprecated", **better, **said)
    notices.notice_set(source="test.takedown", text="It opens a back door.", blocks=True, **said)
    found = concerns(estate)
    assert [found[name]["severity"] for name in ("persona.notice", "persona.blocked")] == [
        "Warning",
        "Critical",
    ]
    assert "It is deprecated." in found["persona.notice"]["text"]
    assert found["persona.notice"]["action"] == "Its successor is dba-team/better."
    notices.notice_set(source="test.takedown", text="It opens a back door.", blocks=True, **said)
    assert AuditEntry.objects.filter(action="persona.notice").count() == 2
    notices.notice_clear(source="test.takedown", **said)
    assert "persona.blocked" not in concern_ids(estate)
