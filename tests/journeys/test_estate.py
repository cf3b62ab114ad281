"""A company's estate from the first file to the first migration: import, scan, usage, suggestions and their answers,
what they teach, the map, a group that becomes a persona, and a guest that is migrated with it.

Real peers behind the pages: sshd, Prometheus, workers, QEMU. Only what other people did before is put there by hand.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import expect

from analyzer.models import Recommendation, VirtualMachine
from config.quickstart.guests import build_guest
from migrations_engine.models import MigratedVM, MigrationRun
from migrations_engine.services.targets import target_ensure_local
from migrations_engine.targets.registry import open_target
from personas.services.catalogue import catalogue_install
from templates_app.services.starter_templates import starter_templates_install
from tests import factories
from tests.analyzer.workbooks import VINFO, vinfo, workbook
from tests.journeys.test_migration import MIGRATION_MS, WORK_MS
from tests.servers import Server, free_port, running
from tests.sshd import sshd

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
HOURS = 2
STARS = ("stellarium", "kstars", "celestia")  # what no persona of the catalogue is about


@pytest.fixture
def images(transactional_db):
    root = factories.make_user("root", superuser=True)
    catalogue_install(by=root)
    starter_templates_install(by=root)
    target_ensure_local(by=root)
    folder = settings.IMAGE_ROOTS[0] / "estate"
    folder.mkdir(parents=True)
    guest = build_guest("tiny-web", settings.CACHE_DIR / "guests")
    os.link(guest.path, folder / "sky-web-01.raw")
    yield folder
    shutil.rmtree(folder)
    target = open_target("qemu", root=settings.DISKS_DIR)
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.fixture
def admin(images):
    """Of a department whose colleagues have scanned three machines that nothing fits."""
    department = factories.make_department("Observatory")
    for _ in range(3):
        packages = tuple(factories.make_package(name) for name in STARS)
        factories.make_scan(factories.make_vm(department), facts=factories.make_facts(packages=packages))
    return factories.make_member(department, "admin", "stella")


@pytest.fixture
def worker_environment(worker_environment):
    return worker_environment | {"OUTBOUND_PRIVATE_NETWORKS": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def prometheus():
    """Two hours of a machine that Prometheus knows as 127.0.0.1, a quarter of its CPU busy."""
    with tempfile.TemporaryDirectory(prefix="personas-prometheus-") as top:
        folder = Path(top) / "data"
        folder.mkdir()
        end_s = int(time.time()) // 300 * 300 - 600
        series = [
            f'node_cpu_seconds_total{{instance="127.0.0.1:9100",cpu="0",mode="{mode}"}} {at_s * share} {at_s}'
            for mode, share in (("idle", 0.75), ("user", 0.25))
            for at_s in range(end_s - HOURS * 3600, end_s, 60)
        ]
        (folder / "history").write_text("\n".join([*series, "# EOF", ""]))
        (folder / "config.yml").write_text("scrape_configs: []\n")
        blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder)]
        subprocess.run(blocks, check=True, capture_output=True)
        port = free_port()
        options = ["--config.file", f"{folder}/config.yml", "--storage.tsdb.path", str(folder)]
        listen = ["--web.listen-address", f"127.0.0.1:{port}"]
        made = Server(
            name="prometheus",
            command=["setpriv", "--pdeathsig", "KILL", "prometheus", *options, *listen],
            folder=folder,
            port=port,
            url=f"http://127.0.0.1:{port}",
            answers=lambda: "Ready" in _get(f"http://127.0.0.1:{port}/-/ready"),
        )
        with running(made):
            yield made


def _get(url: str) -> str:
    answer = subprocess.run(["curl", "-s", url], capture_output=True, text=True, check=False)
    return answer.stdout


@pytest.mark.once
@pytest.mark.timeout(900)
def test_an_estate_from_the_first_file_to_the_first_migration(
    page, login, images, admin, workers, prometheus, settings
):
    settings.OUTBOUND_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]
    login(admin)
    import_a_file_with_bad_rows(page)
    with sshd() as server:
        scan_three_hosts(page, server)
        plot_their_usage(page, prometheus)
        chosen = answer_what_is_suggested(page)
        see_what_was_learned(page, chosen)
    approve_what_the_map_shows(page)
    migrate_with_it(page, images)


def import_a_file_with_bad_rows(page):
    new_source(page, "vCenter", "Inventory file")
    rows = [VINFO, vinfo("erp-01"), vinfo("erp-02", CPUs="many"), vinfo("erp-03", Memory=-1), vinfo("erp-04")]
    file = {"name": "rvtools.xlsx", "mimeType": "application/octet-stream", "buffer": workbook({"vInfo": rows})}
    page.get_by_role("link", name="Import a file").click()
    page.get_by_label("Inventory file").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", name="Rows with errors")).to_be_visible()
    page.get_by_role("button", name=re.compile("Import 2 machines")).click()
    expect(page.get_by_role("link", name="erp-04")).to_be_visible()
    assert not VirtualMachine.objects.filter(name__in=["erp-02", "erp-03"]).exists()


def new_source(page, name: str, kind: str):
    page.goto("/sources/new/")
    write(page, "Name", name)
    page.get_by_label("Kind").select_option(label=kind)
    page.get_by_role("button", name="Save").click()


def write(page, label: str, text: str):
    page.get_by_role("textbox", name=re.compile(f"^{label}")).fill(text)


def scan_three_hosts(page, server):
    new_source(page, "Data centre", "Running machines, over SSH")
    write(page, "Machines", "\n".join(HOSTS))
    write(page, "User", server.username)
    page.get_by_role("spinbutton", name="Port").fill(str(server.port))
    write(page, "Private key", server.private_key)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Discover").click()
    page.get_by_role("button", name="Trust the ticked keys").click(timeout=WORK_MS)
    page.get_by_role("button", name="Scan all").click()
    for host in HOSTS:
        page.goto(f"/machines/{VirtualMachine.objects.get(name=host).pk}/")
        expect(page.get_by_text("Suggested persona")).to_be_visible(timeout=WORK_MS)


def plot_their_usage(page, prometheus):
    vm = VirtualMachine.objects.get(name=HOSTS[0])
    page.goto(f"/sources/{vm.source_id}/prometheus/")
    write(page, "Address", prometheus.url)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Ask now").click()
    expect(page.get_by_text(re.compile(r"values of 1 machine")).first).to_be_visible(timeout=WORK_MS)
    page.goto(f"/machines/{vm.pk}/usage/")
    expect(page.locator("canvas").first).to_be_visible()


def answer_what_is_suggested(page) -> str:
    """Accepted, overridden with the runner-up, whose name is returned, and dismissed."""
    first, second, third = (VirtualMachine.objects.get(name=host) for host in HOSTS)
    for vm in (first, second, third):
        page.goto(f"/machines/{vm.pk}/")
        expect(page.get_by_role("img", name=re.compile("of 5 stars")).first).to_be_visible()
        reasons = page.get_by_text(re.compile("installed on purpose|starts with the machine|listens on"))
        expect(reasons.first).to_be_visible()
    accept(page, first)
    chosen = choose_another(page, second)
    page.goto(f"/machines/{third.pk}/")
    page.get_by_role("link", name="Dismiss").click()
    page.get_by_role("dialog").get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("The suggestion was dismissed.")).to_be_visible()
    return chosen


def accept(page, vm):
    suggested = suggestion_of(vm).persona
    assert suggested, f"this machine fits no persona: {suggestion_of(vm).reason}"
    page.goto(f"/machines/{vm.pk}/")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text(f"moves as {suggested.name}").first).to_be_visible()


def choose_another(page, vm) -> str:
    suggestion = suggestion_of(vm)
    other = next(each["name"] for each in suggestion.ranking if each["name"] != suggestion.persona.name)
    page.goto(f"/machines/{vm.pk}/")
    page.get_by_role("link", name="Choose another").click()
    page.get_by_role("dialog").get_by_label("Persona").select_option(label=other)
    page.get_by_role("dialog").get_by_role("button", name="Choose").click()
    expect(page.get_by_text(f"moves as {other}").first).to_be_visible()
    return other


def suggestion_of(vm) -> Recommendation:
    return Recommendation.objects.get(vm=vm, state="active")


def see_what_was_learned(page, chosen: str):
    """The third host is the same machine as the one that was given another persona."""
    vm = VirtualMachine.objects.get(name=HOSTS[2])
    before = chance_of(vm, chosen)
    page.goto(f"/machines/{vm.pk}/")
    page.get_by_role("button", name="Suggest again").click()
    expect(page.get_by_text("The suggestion was made anew.")).to_be_visible()
    assert chance_of(vm, chosen) > before


def chance_of(vm, persona: str) -> float:
    ranking = Recommendation.objects.filter(vm=vm).latest("created_at").ranking
    return next(each["score"] for each in ranking if each["name"] == persona)


def approve_what_the_map_shows(page):
    sky = VirtualMachine.objects.filter(fingerprint__kind="astronomy").order_by("name").first()
    page.goto("/estate/")
    expect(page.locator("svg.estate circle").first).to_be_visible()
    page.goto(f"/estate/{sky.fingerprint.cell_x}-{sky.fingerprint.cell_y}/")
    expect(page.get_by_role("link", name=sky.name)).to_be_visible()
    page.goto("/drafts/")
    page.get_by_role("button", name="Look again").click()
    page.locator("tbody th a").first.click()
    page.get_by_role("link", name="Name and approve").click()
    write(page, "Name", "Sky watchers")
    page.get_by_role("button", name="Create persona").click()
    expect(page.get_by_text("Sky watchers").first).to_be_visible()


def migrate_with_it(page, images):
    page.goto("/sources/new/")
    write(page, "Name", "Images")
    write(page, "Directory", str(images))
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Discover").click()
    page.get_by_role("link", name="sky-web-01").click(timeout=WORK_MS)
    page.get_by_role("button", name="Scan").click()
    expect(page.get_by_text("Scanned")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("link", name="Migrate", exact=True).click()
    page.get_by_label("Sky watchers", exact=True).check()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("link", name="Choose Debian server to QEMU").click()
    page.get_by_role("button", name="Start the migration").click()
    expect(page.locator("#run-machine.btn-primary")).to_be_visible(timeout=MIGRATION_MS)  # so once it succeeded
    run = MigrationRun.objects.get()
    assert (run.state, run.persona.name) == ("succeeded", "Sky watchers")
    assert MigratedVM.objects.get().run == run
