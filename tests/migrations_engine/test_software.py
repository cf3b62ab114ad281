"""Packages that the settings ask for: what is chosen, what the plan says, what the run does, what is verified."""

import json
import os
import subprocess

import pytest

from migrations_engine import runner
from migrations_engine.domain.debian import packages
from migrations_engine.domain.software import Asked, Inventory, Software, choose, software_from
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.models import MigratedVM
from migrations_engine.services.plan import plan_make
from migrations_engine.services.runs import run_create
from migrations_engine.targets.base import TargetError
from migrations_engine.targets.qemu.bundle import Bundle
from tests.migrations_engine.estate import facts, make_estate

OFFERED = packages(
    "Package: jq\nVersion: 1.6\nDepends: libjq1 (= 1.6)\nSize: 100\nInstalled-Size: 1\n\n"
    "Package: libjq1\nVersion: 1.6\nSize: 200\nInstalled-Size: 2\n\n"
    "Package: yq\nVersion: 3\nDepends: jq, libjq1\nSize: 10\n\n"
    "Package: broken\nVersion: 1\nDepends: nowhere\n"
)


def states(found: Software) -> dict[str, str]:
    return {each.name: each.state for each in found.asked}


# -- what is chosen ------------------------------------------------------------------------------------------------


def test_each_package_is_there_or_added_or_told_why_not():
    found = choose(["curl", "broken", "jq"], OFFERED, {"curl": "7.88"})
    assert found.asked == (
        Asked("curl", "present", "7.88"),
        Asked(
            "broken", "lacking", reason="broken 1 needs nowhere, and neither the machine nor this host has it"
        ),
        Asked("jq", "added", "1.6"),
    )
    assert found.adds == ("jq=1.6", "libjq1=1.6")
    assert (found.fetch_bytes, found.installed_bytes, found.needed_bytes) == (300, 3072, 3372)


def test_what_one_brings_is_not_brought_again():
    assert choose(["yq", "jq"], OFFERED, {}).adds == ("yq=3", "jq=1.6", "libjq1=1.6")
    assert states(choose(["yq", "jq"], OFFERED, {})) == {"yq": "added", "jq": "added"}


def test_library_of_another_version_is_not_exchanged():
    (row,) = choose(["jq"], OFFERED, {"libjq1": "1.5"}).asked
    assert row.reason == "jq 1.6 needs libjq1 (= 1.6), and the machine has libjq1 1.5"


def test_it_is_stored_and_read_as_it_was():
    found = choose(["curl", "broken", "jq"], OFFERED, {"curl": "7.88"})
    assert software_from(json.loads(json.dumps(found.as_dict()))) == found
    assert software_from(None) == Software()


# -- how the guest installs them --------------------------------------------------------------------------------

HINDERED = """\
#!/bin/sh
echo "$@" >>calls
[ "$(wc -l <calls)" -ge 3 ] && exit 0
[ "$(wc -l <calls)" = 1 ] && echo "dpkg frontend lock was locked by another process" || echo "pre-dependency problem"
exit 1
"""


@pytest.fixture
def installed(tmp_path):
    """Runs a bundle's script as the guest would, with a dpkg that is played."""

    def play(dpkg: str) -> int:
        for name, text in (("dpkg", dpkg), ("sleep", "#!/bin/sh\necho slept >>calls-of-sleep\n")):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o700)
        (tmp_path / "jq.deb").touch()
        bundle = Bundle("packages", {}, "not installed", then="echo done >then\n")
        script = bundle.script.replace(bundle.folder, str(tmp_path))
        script = script.replace("/dev/console /dev/ttyS0", str(tmp_path / "console"))
        path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", script], env=path, check=False).returncode

    return play


def test_dpkg_is_asked_again_where_it_is_locked_or_needs_another_turn(installed, tmp_path):
    assert installed(HINDERED) == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["--force-confdef --force-confold --install ./jq.deb"] * 3
    assert (tmp_path / "calls-of-sleep").read_text() == "slept\n"
    assert (tmp_path / "exit_code").read_text() == "0\n"
    assert (tmp_path / "then").exists()
    assert not (tmp_path / "jq.deb").exists()


def test_what_dpkg_refuses_is_said_on_the_console_and_kept_for_the_next_boot(installed, tmp_path):
    assert installed("#!/bin/sh\necho dpkg: error: the disk is full\nexit 2\n") == 1
    assert (tmp_path / "console").read_text() == "not installed: dpkg: error: the disk is full \n"
    assert (tmp_path / "exit_code").read_text() == "1\n"
    assert (tmp_path / "jq.deb").exists()
    assert installed("#!/bin/sh\nexit 0\n") == 0
    assert (tmp_path / "exit_code").read_text() == "0\n"


def test_units_hold_the_boot_only_for_the_agent():
    agent = Bundle("agent", {}, "", holds_boot=True)
    others = Bundle("packages", {}, "", after="agent")
    assert "Type=oneshot" in agent.unit
    assert "Type=simple" in others.unit
    assert f"After={agent.service}" in others.unit
    assert f"ExecStart={others.folder}/install" in others.unit


# -- what the plan says and the run does ---------------------------------------------------------------------------

ADDED = Software((Asked("jq", "added", "1.6"), Asked("bash", "present", "5")), ("jq=1.6",), 100, 100)


@pytest.fixture
def estate(db, world):
    return make_estate(default_kernel_version="", default_kernel_intent="", packages=["jq", "bash"])


def planned(estate, **changes):
    return plan_make(**estate.launch(**changes))


def rows(run):
    return {row["setting"]: row for row in MigratedVM.objects.get(run=run).verification}


def executed(estate):
    run = run_create(**estate.launch())
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    return run


def test_plan_names_what_is_added_and_its_hash_depends_on_it(estate, world):
    before = planned(estate)
    world.software = ADDED
    after = planned(estate)
    assert before.sha256 != after.sha256
    (row,) = [row for row in after.document["changes"] if row["setting"] == "packages"]
    assert (row["current"], row["planned"], row["changes"]) == ("bash 5", "bash 5, jq 1.6", True)
    assert "packages.added" in {concern["id"] for concern in after.concerns}
    assert "packages.missing" in {concern["id"] for concern in before.concerns}


def test_limit_is_enforced_by_a_tool_that_is_added(estate, world):
    estate.scan.facts = facts(has_tc=False).model_dump(mode="json")
    estate.scan.save()
    limit = {"network": {"bandwidth_mbps": 100}}
    nobody = "enforcement.network.bandwidth_mbps"
    assert nobody in {concern["id"] for concern in planned(estate, overrides=limit).concerns}
    world.software = Software((Asked("iproute2", "added", "6"),), ("iproute2=6",))
    assert nobody not in {concern["id"] for concern in planned(estate, overrides=limit).concerns}


def test_packages_are_fetched_before_the_copy_and_waited_for(estate, world):
    world.software, world.inventory = ADDED, Inventory({"jq": "1.6", "bash": "5"})
    run = executed(estate)
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    verbs = [call[0] for call in world.calls]
    assert verbs.index("fetch") < verbs.index("copy")
    assert ("fetch", ("jq=1.6",)) in world.calls
    assert ("inventory", ("jq=1.6",)) in world.calls
    found = rows(run)
    assert (found["packages.jq"]["found"], found["packages.jq"]["by"]) == (
        "1.6, installed by this run",
        "guest",
    )
    assert found["packages.bash"]["found"] == "5, there before"


def test_package_that_was_promised_and_is_not_there_fails_the_run(estate, world):
    world.software, world.inventory = ADDED, Inventory({"bash": "5"}, "dpkg: error: disk full")
    run = executed(estate)
    assert run.state == RunState.FAILED
    assert "packages.jq: asked for installed, found dpkg: error: disk full" in run.root_cause


def test_package_that_the_plan_could_not_promise_is_a_warning(estate, world):
    world.inventory = Inventory({"bash": "5"})
    run = executed(estate)
    assert run.state == RunState.SUCCEEDED
    assert rows(run)["packages.jq"]["verdict"] == "warning"
    assert ("inventory", ()) in world.calls
    assert "fetch" not in [call[0] for call in world.calls]


def test_archive_out_of_reach_stops_the_run_before_anything_is_copied(estate, world):
    def unreachable():
        raise TargetError("this machine's apt offers no jq=1.6, or cannot reach its archive")

    world.software, world.on["fetch"] = ADDED, unreachable
    run = executed(estate)
    assert run.state == RunState.FAILED
    assert "cannot reach its archive" in run.root_cause
    assert world.machines == {}


def test_guest_without_a_package_manager_is_judged_by_the_scan(estate, world):
    run = executed(estate)
    found = rows(run)
    assert (found["packages.bash"]["verdict"], found["packages.bash"]["by"]) == ("pass", "scan")
    assert found["packages.jq"]["verdict"] == "warning"
