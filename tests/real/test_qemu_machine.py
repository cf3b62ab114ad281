"""A tiny guest that really boots: it has what was asked, scripts run once, and nothing needs our process to live."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from migrations_engine.domain import boot_console
from migrations_engine.domain.guest_report import memory_as_asked
from migrations_engine.domain.machine import (
    GIB,
    FirstBoot,
    Forward,
    MachineSpec,
    Rule,
    ScriptOutput,
    SecurityGroup,
)
from migrations_engine.domain.script_delivery import delivered
from migrations_engine.steps import acceptance
from migrations_engine.targets.base import (
    AgentUnavailable,
    KernelUnavailable,
    MachineFailed,
    MachineMissing,
    ScriptInterrupted,
    SpecRefused,
)
from migrations_engine.targets.qemu import jobs, process
from migrations_engine.targets.qemu.folder import Folder

PROJECT = Path(__file__).resolve().parents[2]
BOOT_S = 420  # an idle machine needs 5
SPEC = MachineSpec(
    key="booted", name="web01", vcpus=2, memory_mib=320, devices=("virtio-rng", "virtio-balloon"),
    forwards=(Forward(80), Forward(81)), bandwidth_mbps=200, tags={"owner": "web"},
)  # fmt: skip
WEB = SecurityGroup("web", (Rule("tcp", 80, 80), Rule("icmp")))


@pytest.fixture(scope="module")
def machine(qemu, source, tiny):
    """Copied, grown, prepared for the other kernel, sealed, created and booted, as a run does it."""
    disk = qemu.copy(SPEC.key, source)
    qemu.grow(disk, 2 * GIB)
    qemu.prepare(
        disk, FirstBoot(hostname="web01", kernel=tiny.other_kernel, kernel_modules=("virtio_balloon",))
    )
    ref = qemu.create(SPEC, qemu.seal(disk, "qcow2"))
    qemu.power(ref, "on")
    qemu.wait_ready(ref, BOOT_S)
    return ref


@pytest.fixture(scope="module")
def report(qemu, machine):
    return qemu.guest_report(machine)


def test_the_guest_booted_the_kernel_that_was_asked_for(report, tiny):
    assert report.kernel == tiny.other_kernel
    assert sorted(report.kernels) == sorted(tiny.kernels)


def test_the_guest_has_the_sizes_that_were_asked_for(report):
    assert report.vcpus == 2
    assert memory_as_asked(report.memory_mib, 320)
    assert report.root_disk_bytes == 2 * GIB
    assert report.root_filesystem_bytes > 1.8 * GIB


def test_the_guest_has_the_name_and_the_modules_that_were_asked_for(report):
    assert report.hostname == "web01"
    assert {"virtio_balloon", "virtio_net", "virtio_blk"} <= set(report.modules)
    assert report.os_release["ID"] == "debian"


def test_the_guest_answers_on_its_forwarded_port(machine):
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.forwards['tcp/80']}/", timeout=30) as page:
        assert b"answers" in page.read()


def test_the_guest_reaches_nothing_outside(qemu, machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        tried = qemu.run(machine, f"nc -w 3 10.0.2.2 {server.getsockname()[1]} </dev/null", 30)
    assert tried.exit_code != 0


def processes(qemu, machine) -> str:
    return qemu.run(
        machine, "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $each; echo; done", 60
    ).stdout


@pytest.mark.parametrize("code", [0, 7])
def test_a_scripts_own_exit_code_and_output_come_back(qemu, machine, code):
    result = qemu.run(machine, f"echo out; echo err >&2; exit {code}", 60)
    assert (result.exit_code, result.stdout, result.stderr, result.timed_out) == (
        code,
        "out\n",
        "err\n",
        False,
    )


def test_a_script_with_an_interpreter_runs_in_it(qemu, machine):
    result = qemu.run(machine, "#!/usr/bin/awk -f\nBEGIN { print 6 * 7 }\n", 60)
    assert (result.exit_code, result.stdout) == (0, "42\n")


def test_an_interpreter_that_the_guest_lacks_is_the_scripts_failure(qemu, machine):
    assert qemu.run(machine, "#!/usr/bin/python3\nprint(1)\n", 60).exit_code == 127


def test_a_script_that_takes_too_long_is_ended_with_all_it_started(qemu, machine):
    result = qemu.run(machine, "echo begun; sleep 4711 & sleep 4711", 2)
    assert (result.exit_code, result.timed_out, result.stdout) == (124, True, "begun\n")
    assert "sleep 4711" not in processes(qemu, machine)


CGROUPS = "mkdir -p /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"


@pytest.mark.parametrize("kept_by", ["variable", "group"])
def test_what_left_the_scripts_process_group_is_ended_with_it(qemu, machine, kept_by):
    hidden = "env -i " if kept_by == "group" else ""
    script = f"trap '' TERM; {hidden}setsid sleep 4712 & setsid sh -c '{hidden}sleep 4712 & sleep 4712' & sleep 4712"
    if kept_by == "group":
        assert qemu.run(machine, CGROUPS, 60).exit_code == 0
    try:
        result = qemu.run(machine, script, 2)
        assert (result.exit_code, result.timed_out) == (124, True)
        assert "sleep 4712" not in processes(qemu, machine)
        groups = qemu.run(machine, "ls -d /sys/fs/cgroup/migration-personas.*", 60).stdout
        assert len(groups.split()) == (kept_by == "group")  # that of this question
    finally:
        if kept_by == "group":
            qemu.run(machine, "umount -l /sys/fs/cgroup", 60)


def test_a_flood_of_output_is_bounded_and_says_so(qemu, machine):
    result = qemu.run(machine, "yes x | head -c 2000000; echo the end", 120)
    assert result.exit_code == 0
    assert len(result.stdout) < 400_000
    assert "bytes left out" in result.stdout and result.stdout.endswith("the end\n")


def test_a_script_that_prints_without_end_fills_neither_the_guests_disk_nor_us(qemu, machine):
    script = "dd if=/dev/zero bs=64k count=4096; echo the end; exit 5"  # a quarter of a gigabyte, for the sake of time
    result = qemu.run(machine, script, 600, once_key="flood")
    assert (result.exit_code, result.timed_out) == (5, False)
    left_out = int(re.search(r"\[\.\.\. (\d+) bytes left out", result.stdout)[1])
    assert left_out > 200 * 2**20 and result.stdout.endswith("the end\n") and len(result.stdout) < 400_000
    taken = int(qemu.run(machine, f"du -k {jobs.JOBS}/flood/stdout", 60).stdout.split()[0])
    assert taken < left_out // 1024 // 2


def test_a_script_that_kills_the_agent_still_gives_its_exit_code(qemu, machine):
    result = qemu.run(machine, "killall -KILL qemu-ga; sleep 1; echo survived; exit 3", 120)
    assert (result.exit_code, result.stdout) == (3, "survived\n")


def test_an_agent_that_hangs_is_waited_for_so_long_and_loses_nothing(qemu, machine, monkeypatch):
    script = """
    echo ran >> /root/hung
    until [ -e /root/hang ]; do sleep 0.1; done
    sleep 1; killall -STOP qemu-ga; sleep 10; killall -CONT qemu-ga
    exit 4
    """

    asked = []

    def hang():  # said when the script has been started: once, and its end is not waited for
        if not asked:
            asked.append(qemu.agent(machine).ask("guest-exec", path="/bin/touch", arg=["/root/hang"]))

    with monkeypatch.context() as patience:
        patience.setattr(jobs, "SILENCE_S", 1)
        patience.setattr(jobs, "ANSWER_S", 2)
        with pytest.raises(AgentUnavailable, match="does not answer"):
            qemu.run(machine, script, 120, once_key="hangs", keep_alive=hang)
    assert qemu.run(machine, script, 120, once_key="hangs").exit_code == 4
    assert qemu.run(machine, "wc -l < /root/hung", 60).stdout == "1\n"


def accepted(qemu, machine, port: int) -> tuple[str, str]:
    row = acceptance.check(qemu, machine, {"kind": "tcp", "port": port}, lambda: None)
    return row.verdict.value, row.found


def test_a_port_is_accepted_when_the_guest_takes_the_connection_not_when_qemu_does(qemu, machine, monkeypatch):
    assert accepted(qemu, machine, 80) == ("pass", f"answers on 127.0.0.1:{machine.forwards['tcp/80']}")
    monkeypatch.setattr(acceptance, "PATIENCE_S", 0)
    assert accepted(qemu, machine, 81) == ("fail", "nothing in the guest listens on 81")
    qemu.run(machine, "ip link set eth0 down", 60)
    try:
        assert accepted(qemu, machine, 80) == ("fail", "listening on 80, but no network card of the guest is up")
    finally:
        qemu.run(machine, "ip link set eth0 up", 60)


def test_what_a_script_writes_can_be_read_by_services(qemu, machine):
    result = qemu.run(machine, "umask", 60)
    assert result.stdout.strip() == "0022"


def test_a_script_with_a_key_runs_once_however_often_it_is_asked_for(qemu, machine):
    script = "echo ran >> /root/count; wc -l < /root/count; exit 3"
    first, second = (qemu.run(machine, script, 60, once_key="only-once") for _ in range(2))
    assert first == second and (first.exit_code, first.stdout) == (3, "1\n")


class Stop(Exception):
    pass


def test_a_caller_who_stops_waiting_leaves_the_script_running_until_it_is_stopped(qemu, machine):
    def stop():
        raise Stop

    with pytest.raises(Stop):
        qemu.run(machine, "sleep 900", 1000, once_key="long", keep_alive=stop)
    assert "sleep 900" in processes(qemu, machine)
    qemu.stop_script(machine, "long")
    assert qemu.run(machine, "sleep 900", 1000, once_key="long").exit_code in (137, 143)


RUN_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from migrations_engine.targets.registry import open_target

target = open_target("qemu", root=Path(sys.argv[1]))
[ref] = target.machines("booted")
said = []
def tell():
    if not said:
        said.append(print("running", flush=True))
target.run(ref, sys.argv[2], 300, once_key="survives", keep_alive=tell)
"""


def test_script_is_followed_while_it_runs_and_its_secret_stays_in_no_file(qemu, machine):
    """The secret goes in as a variable; what the guest keeps of the script afterwards does not hold it."""
    body = (
        "echo begun $PORT; until [ -e /root/go-on ]; do sleep 0.2; done; echo $PASSWORD | wc -c; echo end >&2"
    )
    script = {"body": body, "interpreter": "sh"}
    text = delivered(script, {"PORT": "5432", "PASSWORD": "c4n4ry-$(id)'"}, "END-4711")
    seen = []

    def follow():
        seen.append(qemu.script_output(machine, "followed", 1024))
        if seen[-1].stdout:
            qemu.run(machine, "touch /root/go-on", 30)

    result = qemu.run(machine, text, 60, once_key="followed", keep_alive=follow)
    assert (result.stdout, result.stderr, result.exit_code) == ("begun 5432\n14\n", "end\n", 0)
    assert ScriptOutput("begun 5432\n", False, "", False) in seen
    assert qemu.script_output(machine, "followed", 4) == ScriptOutput("\n14\n", True, "end\n", False)
    found = qemu.run(machine, f"grep -rl c4n4ry {jobs.job_folder('followed')}", 30)
    assert found.stdout == ""


def test_killing_the_worker_neither_stops_the_machine_nor_loses_the_exit_code(qemu, machine):
    script = "echo start >> /root/survives; while [ ! -e /root/go ]; do sleep 1; done; wc -l < /root/survives; exit 7"
    worker = subprocess.Popen(
        [sys.executable, "-c", RUN_IN_ANOTHER_PROCESS, str(qemu.root), script],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout.readline() == "running\n"
        qemu.run(machine, "until [ -e /root/survives ]; do sleep 1; done", 60)
        worker.send_signal(signal.SIGKILL)
    assert qemu.status(machine).state == "on"
    assert qemu.run(machine, "touch /root/go", 30).exit_code == 0
    result = qemu.run(machine, script, 300, once_key="survives")
    assert (result.exit_code, result.stdout) == (7, "1\n")


def test_filters_are_loaded_read_back_and_hold(qemu, machine, monkeypatch):
    monkeypatch.setattr(acceptance, "PATIENCE_S", 0)
    qemu.run(machine, "busybox httpd -p 81 -h /var/www/html", 30)
    assert fetch(machine.forwards["tcp/81"]) is not None
    applied = qemu.apply_security_groups(machine, (WEB,))
    assert applied.ok, applied.detail
    assert fetch(machine.forwards["tcp/80"]) is not None
    assert fetch(machine.forwards["tcp/81"]) is None
    found = f"127.0.0.1:{machine.forwards['tcp/81']} is forwarded, and the guest does not answer there"
    assert accepted(qemu, machine, 81) == ("fail", found)


def fetch(port: int) -> bytes | None:
    """The page, or None where nothing comes back: QEMU accepts in the guest's place, so a filter shows as silence."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=8) as page:
            return page.read()
    except (OSError, urllib.error.URLError):
        return None


def test_the_bandwidth_is_set_and_read_back(qemu, machine):
    applied = qemu.apply_bandwidth(machine, 200)
    assert applied.ok, applied.detail
    assert "tbf" in applied.observed and "200Mbit" in applied.observed


def test_tags_are_kept_and_read_back(qemu, machine):
    assert qemu.tag(machine, {"owner": "db", "cost-centre": "4711"}).ok
    assert '"cost-centre": "4711"' in qemu.tag(machine, {"owner": "db", "cost-centre": "4711"}).observed


def test_a_kernel_that_the_guest_lacks_cannot_become_its_default(qemu, machine):
    with pytest.raises(KernelUnavailable, match=r"9\.9\.9"):
        qemu.set_default_kernel(machine, "9.9.9")


def test_after_a_reboot_the_guest_has_the_new_kernel_the_filters_and_the_limit(qemu, machine, tiny):
    qemu.apply_security_groups(machine, (WEB,))
    qemu.apply_bandwidth(machine, 200)
    qemu.set_default_kernel(machine, tiny.default_kernel)
    qemu.reset(machine, 60)
    qemu.wait_ready(machine, BOOT_S)
    assert qemu.guest_report(machine).kernel == tiny.default_kernel
    listed = qemu.run(
        machine, "nft list table inet migration_personas; /sbin/tc qdisc show dev eth0", 30
    ).stdout
    assert 'tcp dport 80 accept comment "web"' in listed and "rate 200Mbit" in listed


def test_a_script_whose_guest_was_reset_is_not_started_a_second_time(qemu, machine):
    def reset_once():
        qemu.reset(machine, 60)
        qemu.wait_ready(machine, BOOT_S)
        raise Stop

    with pytest.raises(Stop):
        qemu.run(
            machine,
            "echo x >> /root/interrupted; sync; sleep 900",
            1000,
            once_key="cut",
            keep_alive=reset_once,
        )
    with pytest.raises(ScriptInterrupted):
        qemu.run(machine, "echo x >> /root/interrupted; sync; sleep 900", 1000, once_key="cut")


def test_the_console_holds_what_the_guest_wrote_and_no_more_than_asked(qemu, machine):
    assert "udhcpc: lease of 10.0.2.15" in qemu.console(machine)
    assert len(qemu.console(machine, 100).encode()) <= 100


def test_powering_on_a_running_machine_changes_nothing(qemu, machine):
    before = qemu.status(machine).pid
    assert qemu.power(machine, "on").pid == before


def test_creating_the_machine_again_finds_it(qemu, machine):
    assert qemu.create(SPEC, qemu.copy(SPEC.key, None)) == machine
    assert [each.key for each in qemu.machines()] == [SPEC.key]


def test_a_running_machines_disk_is_not_touched_from_outside(qemu, machine):
    locked = subprocess.run(
        ["qemu-img", "resize", "-f", "qcow2", qemu.copy(SPEC.key, None).path, "3G"], capture_output=True
    )
    assert locked.returncode != 0 and b"lock" in locked.stderr


def test_the_machine_goes_off_by_itself_and_comes_back_with_its_data(qemu, machine):
    qemu.run(machine, "echo kept > /root/kept", 30)
    assert qemu.power(machine, "off", timeout_s=60).state == "off"
    assert "Power down" in qemu.console(machine)
    with pytest.raises(MachineFailed, match="has stopped"):  # said at once: no agent will answer
        qemu.guest_report(machine)
    assert qemu.power(machine, "on").state == "on"
    qemu.wait_ready(machine, BOOT_S)
    assert qemu.run(machine, "cat /root/kept", 30).stdout == "kept\n"


def test_a_guest_that_does_not_listen_is_switched_off(qemu, machine):
    assert qemu.power(machine, "off", hard=True).state == "off"


def test_destroying_removes_what_carries_the_key_and_nothing_else(qemu, machine):
    qemu.power(machine, "on")
    pid = qemu.status(machine).pid
    other = Folder(qemu.root / "other-run")
    other.path.mkdir()
    other.write(copied={"virtual_bytes": 1})
    assert "disk.qcow2" in qemu.destroy(SPEC.key)
    assert not (qemu.root / SPEC.key).exists() and other.read()
    assert not os.path.exists(f"/proc/{pid}/exe")
    assert qemu.status(machine).state == "missing"
    assert qemu.destroy(SPEC.key) == ()
    with pytest.raises(MachineMissing):
        qemu.power(machine, "on")


def test_disks_may_be_kept(qemu, source):
    disk = qemu.copy("keeps", source)
    qemu.create(MachineSpec(key="keeps", name="k", vcpus=1, memory_mib=128), disk)
    qemu.destroy("keeps", keep_disks=True)
    assert Path(disk.path).exists() and qemu.machines("keeps") == ()
    Path(disk.path).unlink()


def test_a_disk_that_does_not_boot_is_an_error_with_the_end_of_its_console(qemu, tmp_path):
    from migrations_engine.domain.machine import SourceDisk

    empty = tmp_path / "empty.raw"
    empty.write_bytes(bytes(2**20))
    disk = qemu.copy("unbootable", SourceDisk(str(empty), "raw"))
    ref = qemu.create(MachineSpec(key="unbootable", name="u", vcpus=1, memory_mib=128), disk)
    qemu.power(ref, "on")
    with pytest.raises(AgentUnavailable, match="console ends"):
        qemu.wait_ready(ref, 3)
    qemu.power(ref, "off", hard=True)
    with pytest.raises(MachineFailed, match="stopped while booting"):
        qemu.wait_ready(ref, 3)


def test_a_guest_that_panics_is_given_up_long_before_the_limit(qemu, source, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(boot_console, "SILENT_S", 5.0)
    disk = qemu.copy("panics", source)
    (tmp_path / "junk").write_bytes(b"no initramfs" * 1000)
    for kernel in tiny.kernels:
        for request in (f"rm /boot/initrd.img-{kernel}", f"write {tmp_path}/junk /boot/initrd.img-{kernel}"):
            subprocess.run(["debugfs", "-w", "-R", request, f"{disk.path}?offset={2**21}"], check=True)
    ref = qemu.create(MachineSpec(key="panics", name="p", vcpus=1, memory_mib=160), disk)
    qemu.power(ref, "on")
    with pytest.raises(AgentUnavailable, match=r"does not boot: .*Kernel panic - not syncing: VFS"):
        qemu.wait_ready(ref, BOOT_S)
    qemu.destroy("panics")


def test_a_port_that_was_taken_meanwhile_is_replaced(qemu, source):
    spec = MachineSpec(key="ports", name="p", vcpus=1, memory_mib=128, forwards=(Forward(80),))
    ref = qemu.create(spec, qemu.copy("ports", source))
    with socket.create_server(("127.0.0.1", ref.forwards["tcp/80"])):
        qemu.power(ref, "on")
    [now] = qemu.machines("ports")
    assert now.forwards["tcp/80"] != ref.forwards["tcp/80"]
    qemu.destroy("ports")


def test_a_machine_without_a_disk_or_with_unknown_models_is_refused(qemu, source):
    with pytest.raises(SpecRefused, match="no disk"):
        qemu.create(MachineSpec(key="nodisk", name="n", vcpus=1, memory_mib=128), None)
    disk = qemu.copy("models", source)
    with pytest.raises(SpecRefused, match="quantum"):
        qemu.create(MachineSpec(key="models", name="n", vcpus=1, memory_mib=128, devices=("quantum",)), disk)
    qemu.destroy("models")


def test_a_pid_that_now_belongs_to_another_program_is_not_taken_for_the_machine(tmp_path):
    folder = Folder(tmp_path / "gone")
    folder.path.mkdir()
    (folder.path / "qemu.pid").write_text(f"{os.getpid()}\n")
    assert process.pid_of(folder) is None


def test_a_machine_whose_pid_file_was_never_written_is_found_and_removed(qemu, source):
    disk = qemu.copy("orphan", source)
    ref = qemu.create(MachineSpec(key="orphan", name="o", vcpus=1, memory_mib=128), disk)
    pid = qemu.power(ref, "on").pid
    (qemu.root / "orphan" / "qemu.pid").unlink()
    assert qemu.status(ref).pid == pid
    qemu.destroy("orphan")
    assert not os.path.exists(f"/proc/{pid}/exe")
