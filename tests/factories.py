"""Rows for tests: plain functions, every column can be overridden. Imports inside: an app that is being written breaks
only the tests that need it."""

import itertools

_numbers = itertools.count(1)
PASSWORD = "correct horse battery"


def make_user(name: str = "", *, superuser: bool = False, **columns):
    from django.contrib.auth import get_user_model

    name = name or f"user{next(_numbers)}"
    user = get_user_model()(username=name, is_superuser=superuser, is_staff=superuser, **columns)
    user.set_password(PASSWORD)
    user.save()
    return user


def make_department(name: str = "", **columns):
    from django.utils.text import slugify

    from personas.models import Department

    name = name or f"Department {next(_numbers)}"
    return Department.objects.create(name=name, slug=columns.pop("slug", slugify(name)), **columns)


def make_member(department=None, role: str = "admin", name: str = ""):
    """A user who has `role` in the department (a new one unless given)."""
    from personas.models import Membership

    user = make_user(name)
    Membership.objects.create(user=user, department=department or make_department(), role=role)
    return user


def make_persona(name: str = "", *, department=None, **columns):
    from django.utils.text import slugify

    from personas.models import Persona

    name = name or f"Persona {next(_numbers)}"
    slug = columns.pop("slug", slugify(name))
    return Persona.objects.create(name=name, slug=slug, department=department, **columns)


# --- analyzer --------------------------------------------------------------------------------------------------------


def make_source(department=None, **columns):
    from analyzer.models import SourceEndpoint

    number = next(_numbers)
    columns = {"name": f"source {number}", "location": f"/srv/images/{number}"} | columns
    return SourceEndpoint.objects.create(department=department or make_department(), **columns)


def make_inventory(department=None):
    """A source of the kind inventory, with a file of one machine that waits for a yes."""
    from analyzer.models import InventoryUpload

    source = make_source(department, kind="inventory", location="")
    machine = {"row": 2, "external_id": "1", "name": "web01"}
    content = {"format": "csv", "machines": [machine], "errors": [], "left_out": []}
    InventoryUpload.objects.create(source=source, file_name="machines.csv", content=content)
    return source


def make_vm(
    department=None, *, source=None, path="/srv/images/none.raw", format="raw", size=2**30, **columns
):
    """A machine with one disk."""
    from analyzer.models import Disk, VirtualMachine

    source = source or make_source(department)
    number = next(_numbers)
    columns = {"name": f"vm{number}", "external_id": f"vm-{number}"} | columns
    vm = VirtualMachine.objects.create(source=source, department=source.department, **columns)
    Disk.objects.create(vm=vm, index=0, path=str(path), format=format, virtual_size_bytes=size)
    return vm


def make_facts(**areas):
    """Facts of a small Debian machine, fully read; any field of Facts can be given."""
    from analyzer.domain.facts import AREAS, Coverage, Facts, OperatingSystem, ScanInfo

    info = ScanInfo(duration_ms=40, image_format="raw", virtual_size_bytes=2**30, allocated_bytes=2**28)
    standard = {
        "os": OperatingSystem(id="debian", version="12", pretty_name="Debian GNU/Linux 12", family="debian"),
        "hostname": "web01",
        "coverage": tuple(Coverage(area=area, state="full") for area in AREAS),
        "scan": info,
    }
    return Facts(**(standard | areas))


def make_package(name: str, *, manual: bool | None = True, section: str = "admin", version: str = "1.0"):
    from analyzer.domain.facts import Package

    return Package(name=name, version=version, manager="dpkg", manual=manual, section=section)


def make_scan(vm=None, *, facts=None, **columns):
    """An ended scan with what it found laid into rows, its recommendation included; `facts=None` with a `state` gives
    a bare row."""
    from django.utils import timezone

    from analyzer.models import Scan
    from analyzer.services.findings import findings_store

    vm = vm or make_vm()
    if facts is None and "state" in columns:
        return Scan.objects.create(vm=vm, **columns)
    facts = facts or make_facts()
    columns = {"state": "complete", "coverage_stars": 5, "finished_at": timezone.now()} | columns
    scan = Scan.objects.create(vm=vm, facts=facts.model_dump(mode="json"), progress_percent=100, **columns)
    findings_store(scan=scan, facts=facts)
    scan.vm.refresh_from_db()
    return scan


def make_draft(department=None, key="astronomy", **columns):
    """A persona that a group of machines suggests, without members."""
    from analyzer.models import PersonaDraft

    document = {
        "name": "Sky watchers",
        "description": "",
        "hints": ["stellarium"],
        "settings": {"schema_version": 1},
    }
    columns = {"document": document, "common": [["stellarium", 1.0]]} | columns
    return PersonaDraft.objects.create(department=department, key=key, **columns)


# --- migrations_engine -----------------------------------------------------------------------------------------------


def make_target(name: str = "", **columns):
    """The organisation's target unless `department` says whose."""
    from migrations_engine.models import TargetEndpoint

    return TargetEndpoint.objects.create(name=name or f"target {next(_numbers)}", **columns)


def make_script(
    name: str = "", *, body: str = "echo hello", interpreter: str = "sh", department=None, **columns
):
    """A script with one revision."""
    import hashlib

    from personas.models import Script, ScriptRevision

    name = name or f"script-{next(_numbers)}"
    script = Script.objects.create(
        name=name, slug=columns.pop("slug", name), department=department, **columns
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    ScriptRevision.objects.create(script=script, number=1, interpreter=interpreter, body=body, sha256=digest)
    return script


# --- templates -------------------------------------------------------------------------------------------------------


def make_secret(name: str = "", *, department, value: str = "correct-horse-battery"):
    from django.utils import timezone

    from personas.models import Secret
    from personas.services.secret_box import seal

    name = name or f"secret-{next(_numbers)}"
    return Secret.objects.create(
        name=name, slug=name, department=department, ciphertext=seal(value), value_changed_at=timezone.now()
    )


def make_driver_set(name: str = "", *, department=None, drivers=None, **columns):
    from django.utils.text import slugify

    from personas.models import DriverSet

    name = name or f"Driver set {next(_numbers)}"
    drivers = drivers or [
        {"name": "net", "kernel_modules": ["virtio_net"], "devices": {"nic": "virtio-net-pci"}}
    ]
    slug = columns.pop("slug", slugify(name))
    return DriverSet.objects.create(name=name, slug=slug, department=department, drivers=drivers, **columns)


def make_template(name: str = "", *, department=None, **columns):
    """With its first revision, as every template has it."""
    from personas.domain.canonical import sha256_of
    from templates_app.models import MigrationTemplate

    name = name or f"Template {next(_numbers)}"
    template = MigrationTemplate(name=name, department=department, **columns)
    template.full_clean()
    template.save()
    document = template.document()
    template.revisions.create(number=1, document=document, sha256=sha256_of(document))
    return template
