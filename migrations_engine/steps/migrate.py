"""Step 3: copy, grow, prepare, boot, apply, verify from inside the guest. Each line may be said again after a crash."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from migrations_engine.domain import blueprint, verification
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import (
    Applied,
    DiskRef,
    FirstBoot,
    GuestReport,
    MachineRef,
    MachineSpec,
    SourceDisk,
    disk_serial,
)
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.shares import Shares
from migrations_engine.domain.software import NOT_ASKED, Inventory, software_from
from migrations_engine.domain.states import StepName
from migrations_engine.services import assessment, ledger
from migrations_engine.services.migrated import migrated_vm_ensure, reference
from migrations_engine.steps.analyze import checksums, scanned_facts, source_disks
from migrations_engine.steps.base import Step, StepFailed, Work
from migrations_engine.steps.scripts import run_phase
from migrations_engine.steps.switch_over import (
    discard_fetched,
    fetched,
    hypervisor,
    outage_over,
    require_off,
    source_off,
    start_over,
)
from migrations_engine.steps.warm import followed_disks
from migrations_engine.targets.base import CopyMismatch, FilesystemDamaged, Progress

READY_TIMEOUT_S = 600  # emulated, on a busy machine, a systemd guest with cloud-init takes minutes
PROBE_TIMEOUT_S = 60
TEST_TAG = "test-migration"
STARTED_TIMEOUT_S = 300
HAS_STARTED = """#!/bin/sh
[ -d /run/systemd/system ] || exit 0
while :; do
    case $(systemctl is-system-running 2>/dev/null) in running|degraded|maintenance) exit 0 ;; esac
    sleep 1
done
"""
GUEST_PROBE = """#!/bin/sh
[ -d /sys/firmware/efi ] && echo uefi || echo bios
cat "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null
exit 0
"""


@dataclass(frozen=True)
class Move:
    """What this step goes by, drawn from the snapshot and the facts of the first step."""

    spec: MachineSpec
    first_boot: FirstBoot
    kernel: KernelChoice
    disk_bytes: int


def migrate(work: Work) -> dict:
    facts = scanned_facts(work)
    move = _move(work, facts)
    start_over(work)
    work.kept = _read_at_cutover(work)
    ref = _machine(work, move)
    discard_fetched(work)
    inventory = _installed(work, move, ref)
    report = _boot(work, move, ref)
    outage_over(work)
    _time_rest(work)
    scripts = run_phase(work, ref, "first_boot", [], (82, 85))
    applied = _apply(work, move, ref)
    rows = _verify(work, move, facts, ref, report, applied, inventory)
    _require_verified(work, rows, scripts)
    return {
        "machine": reference(ref),
        "verification": [row.as_dict() for row in rows],
        "scripts": scripts,
        **_read_at_cutover(work),
    }


def _read_at_cutover(work: Work) -> dict[str, Any]:
    """What the source held when it was off; {} where the first step has told it. With the times of this step."""
    told = work.before | work.kept
    names = ("source_sha256", "sources", "copied_at", "after_copy_s")
    return {name: told[name] for name in names if name in told}


def _time_rest(work: Work) -> None:
    """From the copy being whole to the guest's answer: what a forecast of an outage goes by. Of a first try only: one
    that was taken over has waited as well."""
    if "copied_at" in work.kept and work.claim.attempt == 1 and not work.claim.retries:
        took = timezone.now() - datetime.fromisoformat(work.kept["copied_at"])
        work.kept |= {"after_copy_s": round(took.total_seconds(), 1)}


def _move(work: Work, facts) -> Move:
    settings = work.plan["merged"]["merged"]
    kernel = assessment.choose_kernel(settings, facts, work.target)
    access = assessment.access_from(work.known["assessment"])
    software = software_from(work.known["assessment"].get("software"))
    spec = assessment.machine_spec(work.plan, facts, work.key)
    return Move(
        spec=_labelled(spec, work),
        first_boot=blueprint.first_boot(
            settings,
            facts=facts,
            kernel=kernel,
            packages=access.packages,
            software=software.adds,
            bus=spec.disk_bus,
        ),
        kernel=kernel,
        disk_bytes=blueprint.root_disk_bytes(
            settings, source_bytes=work.plan["vm"]["disks"][0]["virtual_size_bytes"]
        ),
    )


def _labelled(spec: MachineSpec, work: Work) -> MachineSpec:
    """The machine says at the target for whom it was made; a rehearsal's, that nobody may take it for the real one."""
    personas = tuple(persona["name"] for persona in work.plan["personas"])
    if not work.run.is_test:
        return replace(spec, personas=personas)
    return replace(spec, personas=personas, tags={**spec.tags, TEST_TAG: work.key}, isolated=True)


def _machine(work: Work, move: Move) -> MachineRef:
    """The machine, found or made. Once it is made its disk is its own: it is never copied, grown or prepared again."""
    if found := work.target.machines(work.key):
        return found[0]
    disk = _disk(work, move)
    work.alive.phase("Making the machine", 72)
    ledger.intend(run_id=work.run.pk, kind="machine", reference=work.key)
    ref = work.alive.during(work.target.create, move.spec, disk)
    ledger.created(run_id=work.run.pk, kind="machine", reference=work.key)
    return ref


def _disk(work: Work, move: Move) -> DiskRef:
    if move.first_boot.software:
        work.alive.phase(f"Fetching {len(move.first_boot.software)} packages", 0)
        work.target.fetch(move.first_boot, work.alive)
    try:
        disk = _copied(work)
        work.kept |= {"copied_at": timezone.now().isoformat()}
        return _prepared(work, move, disk)
    except (CopyMismatch, FilesystemDamaged):
        work.alive.during(work.target.destroy, work.key)  # a retry must not go on from a damaged copy
        raise


def _copied(work: Work) -> DiskRef:
    count = len(work.plan["vm"]["disks"])
    work.alive.phase(f"Copying {count} disks" if count > 1 else "Copying the disk", 0)
    ledger.intend(run_id=work.run.pk, kind="disk", reference=work.key)
    host = hypervisor(work) if work.run.is_cutover else None
    if host and work.run.is_warm and (staged := followed_disks(work, host)) is not None:
        return _adopted(work, staged)
    if host:
        source_off(work, host)
        files = fetched(work, host, 10)
        sources = [SourceDisk(file.path, file.format) for file in files]
        work.alive.phase("Copying the disks", 10)
    else:
        sources = source_disks(work)
    shares = Shares(
        work.alive.progress(0, 40), [disk["virtual_size_bytes"] for disk in work.plan["vm"]["disks"]]
    )
    disk = work.target.copy(work.key, sources[0], shares.part(0))
    ledger.created(run_id=work.run.pk, kind="disk", reference=work.key)
    for index, source in enumerate(sources[1:], start=1):
        _copy_data(work, index, source, shares.part(index))
    work.alive.phase("Checking that the source is unchanged", 40)
    after = checksums(work, sources, work.alive.progress(40, 50))
    if host:
        require_off(work, host)  # the copy was compared with a source that nobody wrote to
        work.kept |= {"sources": after, "source_sha256": after[0]["sha256"]}
        work.keep(work.kept)
        return disk
    before = work.known.get("sources") or [{"sha256": work.known["source_sha256"]}]  # runs of before had one
    if [each["sha256"] for each in after] != [each["sha256"] for each in before]:
        raise CopyMismatch("The source was written to while it was copied; stop it, then try again.")
    return disk


def _adopted(work: Work, staged: list[SourceDisk]) -> DiskRef:
    """No byte is copied where the target keeps disks beside ours. That they are the source's is proved after the
    outage, in the last step."""
    work.alive.phase("Taking over the disks", 40)
    disk = work.target.adopt(work.key, 0, staged[0], "raw", work.alive.progress(40, 45))
    ledger.created(run_id=work.run.pk, kind="disk", reference=work.key)
    for index, source in enumerate(staged[1:], start=1):
        name = f"{work.key}/{disk_serial(index)}"
        ledger.intend(run_id=work.run.pk, kind="disk", reference=name)
        work.target.adopt(work.key, index, source, disk_format(work), work.alive.progress(45, 50))
        ledger.created(run_id=work.run.pk, kind="disk", reference=name)
    return disk


def _copy_data(work: Work, index: int, source: SourceDisk, progress: Progress) -> None:
    """A disk beside the one that boots: it is neither grown nor changed, so it is written in its final format."""
    wanted, name = disk_format(work), f"{work.key}/{disk_serial(index)}"
    ledger.intend(run_id=work.run.pk, kind="disk", reference=name)
    work.target.copy_data(work.key, index, source, wanted, progress)
    ledger.created(run_id=work.run.pk, kind="disk", reference=name)


def disk_format(work: Work) -> str:
    return leaf(work.plan["merged"]["merged"], "storage.format", "qcow2")


def _prepared(work: Work, move: Move, disk: DiskRef) -> DiskRef:
    work.alive.phase(f"Growing the disk to {move.disk_bytes / blueprint.GIB:.3g} GiB", 50)
    growth = work.alive.during(work.target.grow, disk, move.disk_bytes)
    if growth.left:
        work.alive.say(f"Left to do after the growth: {growth.left}", "warning")
    if move.kernel.action == "install":
        work.alive.phase(f"Installing the kernel {move.kernel.version}", 53)
        work.target.install_kernel(disk, move.spec, move.first_boot, work.alive)
    work.alive.phase("Preparing the first boot", 56)
    prepared = work.alive.during(work.target.prepare, disk, move.first_boot)
    work.alive.say(
        "; ".join([f"{prepared.way}: {', '.join(prepared.done) or 'nothing to change'}", *prepared.left])
    )
    wanted = disk_format(work)
    work.alive.phase(f"Writing the disk as {wanted}", 60)
    return work.target.seal(disk, wanted, work.alive.progress(60, 72))


def _installed(work: Work, move: Move, ref: MachineRef) -> Inventory:
    """What the guest has of the packages asked for, once it has installed those brought: nothing resets it before."""
    work.alive.phase("Booting the machine", 74)
    work.alive.during(work.target.power, ref, "on")
    names, brought = leaf(work.plan["merged"]["merged"], "packages", []), move.first_boot.software
    if not names:
        return NOT_ASKED
    work.alive.phase("Waiting for the guest to answer", 75)
    work.target.wait_ready(ref, READY_TIMEOUT_S, work.alive)
    if brought:
        work.alive.phase(f"The guest installs {len(brought)} packages", 75)
    return work.alive.patiently(work.target.inventory, ref, names, brought, keep_alive=work.alive)


def _boot(work: Work, move: Move, ref: MachineRef) -> GuestReport:
    report = _started(work, ref)
    wanted = move.first_boot.kernel
    if wanted and report.kernel != wanted:  # the way in was not offline, or its boot loader went its own way
        work.alive.phase(f"Making {wanted} the default kernel and rebooting", 80)
        _ask(work, work.target.set_default_kernel, ref, wanted)
        work.alive.during(work.target.reset, ref)
        report = _started(work, ref)
    work.alive.say(f"The guest runs {report.kernel} with {report.vcpus} vCPUs and {report.memory_mib} MiB.")
    return report


def _started(work: Work, ref: MachineRef) -> GuestReport:
    """The report of a guest that has finished starting: before that its services neither run nor have failed."""
    work.alive.phase("Waiting for the guest to answer", 76)
    work.target.wait_ready(ref, READY_TIMEOUT_S, work.alive)
    work.alive.phase("Waiting for the guest's services to start", 78)
    work.alive.patiently(work.target.run, ref, HAS_STARTED, STARTED_TIMEOUT_S, keep_alive=work.alive)
    return _ask(work, work.target.guest_report, ref)


def _ask(work: Work, verb: Callable, *arguments: Any) -> Any:
    """What a verb of the target answers that may be said again: patiently, with the claim kept."""
    return work.alive.patiently(work.alive.during, verb, *arguments)


def _apply(work: Work, move: Move, ref: MachineRef) -> dict[str, Applied]:
    """What is set in the running guest; who enforces it was said in the plan. Keyed by setting."""
    work.alive.phase("Applying network settings and tags", 85)
    by = {row["setting"]: row["by"] for row in work.known["assessment"]["enforcement"]}
    spec, target = move.spec, work.target
    verbs = {
        "network.security_groups": (target.apply_security_groups, spec.security_groups),
        "network.bandwidth_mbps": (target.apply_bandwidth, spec.bandwidth_mbps),
        "monitoring_tags": (target.tag, dict(spec.tags)),
    }
    asked = {setting: verb for setting, verb in verbs.items() if verb[1] and by.get(setting) != "nobody"}
    return {setting: _ask(work, verb, ref, value) for setting, (verb, value) in asked.items()}


def _verify(work: Work, move: Move, facts, ref, report, applied, inventory) -> list[verification.Row]:
    work.alive.phase("Verifying inside the guest", 92)
    firmware, builtin = _probe(work, ref)
    rows = verification.table(
        verification.Evidence(
            settings=work.plan["merged"]["merged"],
            spec=move.spec,
            first_boot=move.first_boot,
            disk_bytes=move.disk_bytes,
            data_bytes=tuple(disk["virtual_size_bytes"] for disk in work.plan["vm"]["disks"][1:]),
            report=report,
            facts=facts,
            inventory=inventory,
            firmware=firmware,
            builtin_modules=builtin,
            applied=applied,
            enforcement=tuple(assessment.enforcement_from(work.known["assessment"])),
        )
    )
    migrated_vm_ensure(
        run=work.run,
        ref=ref,
        power_state="on",
        verification=[row.as_dict() for row in rows],
        tags=dict(move.spec.tags),
        facts=_told(report),
    )
    return rows


def _probe(work: Work, ref: MachineRef) -> tuple[str, frozenset[str]]:
    """(firmware that the guest booted with, drivers that its kernel has built in)."""
    result = work.alive.patiently(work.target.run, ref, GUEST_PROBE, PROBE_TIMEOUT_S, keep_alive=work.alive)
    firmware, *paths = result.stdout.splitlines() or [""]
    names = (path.rsplit("/", 1)[-1].removesuffix(".ko") for path in paths)
    return firmware.strip(), frozenset(blueprint.normal(name) for name in names)


def _told(report: GuestReport) -> dict:
    columns = ("kernel", "vcpus", "memory_mib", "root_disk_bytes", "root_filesystem_bytes", "hostname")
    lists = ("mounts", "failed_units", "kernels", "addresses", "fstab")
    told = {name: getattr(report, name) for name in columns}
    return (
        told
        | {"os_release": dict(report.os_release), "disks": [asdict(disk) for disk in report.disks]}
        | {name: list(getattr(report, name)) for name in lists}
    )


def _require_verified(work: Work, rows: list[verification.Row], scripts: list[dict[str, Any]]) -> None:
    if failed := verification.failures(rows):
        raise StepFailed(
            f"The machine runs, but is not what was asked for: {verification.told(failed)}.",
            {"verification": [row.as_dict() for row in rows], "scripts": scripts, **_read_at_cutover(work)},
        )


MIGRATE = Step(
    StepName.MIGRATE,
    frozenset({"source_sha256", "scan", "assessment"}),
    frozenset({"machine", "verification", "scripts"}),
    migrate,
)
