"""Debian 12 with systemd, nginx and PostgreSQL: moved to its other kernel with its services and its rows."""

import socket
import urllib.request

import pytest

from migrations_engine.domain.guest_report import memory_as_asked
from migrations_engine.domain.machine import GIB, FirstBoot, Forward, MachineSpec, SourceDisk

BOOT_S = 600  # an idle machine needs 20
SPEC = MachineSpec(
    key="orders",
    name="orders-db",
    vcpus=2,
    memory_mib=1024,
    forwards=(Forward(80), Forward(5432), Forward(22)),
)
ROWS = "su postgres -c \"psql -At -c 'SELECT count(*), sum(cents) FROM orders'\""
# the services come up after the agent. Asked one by one: of several units, is-active is content with any
UNTIL_UP = (
    "until systemctl -q is-active nginx && systemctl -q is-active postgresql@15-main; do sleep 1; done; "
)


@pytest.fixture(scope="module")
def orders(qemu, full):
    before = qemu.checksum(SourceDisk(str(full.path), full.format))
    disk = qemu.copy(SPEC.key, SourceDisk(str(full.path), full.format))
    qemu.grow(disk, 6 * GIB)
    qemu.prepare(disk, FirstBoot(hostname="orders-db", kernel=full.other_kernel, nic_name="ens3"))
    ref = qemu.create(SPEC, qemu.seal(disk, "qcow2"))
    qemu.power(ref, "on")
    qemu.wait_ready(ref, BOOT_S)
    yield ref
    assert qemu.power(ref, "off", timeout_s=120).state == "off"
    assert qemu.checksum(SourceDisk(str(full.path), full.format)) == before


def test_the_moved_guest_is_what_was_asked_and_nothing_in_it_failed(qemu, full, orders):
    rows = qemu.run(orders, UNTIL_UP + ROWS, 600, once_key="rows")
    assert (rows.exit_code, rows.stdout) == (0, f"5000|{sum(n * 7 % 9999 for n in range(1, 5001))}\n"), (
        rows.stderr
    )
    report = qemu.guest_report(orders)
    assert report.kernel == full.other_kernel
    assert (report.vcpus, report.hostname, report.failed_units) == (2, "orders-db", ())
    assert memory_as_asked(report.memory_mib, 1024)
    assert report.root_disk_bytes == 6 * GIB and report.root_filesystem_bytes > 5.5 * GIB
    assert any(address.startswith("ens3 10.0.2.") for address in report.addresses)


def test_its_services_answer_on_their_forwarded_ports(qemu, orders):
    with urllib.request.urlopen(f"http://127.0.0.1:{orders.forwards['tcp/80']}/", timeout=60) as page:
        assert b"The database host answers" in page.read()
    with socket.create_connection(("127.0.0.1", orders.forwards["tcp/5432"]), timeout=60) as database:
        database.sendall(bytes.fromhex("0000000804d2162f"))  # PostgreSQL's SSLRequest
        assert database.recv(1) in (b"S", b"N")
    with socket.create_connection(("127.0.0.1", orders.forwards["tcp/22"]), timeout=60) as shell:
        assert shell.recv(7) == b"SSH-2.0"
