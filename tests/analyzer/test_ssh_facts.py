"""What a running machine answers, read strictly. The script's answer is that of a Debian machine, cut short."""

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.facts import AREAS, Facts
from analyzer.domain.ssh_facts import facts_document
from analyzer.domain.ssh_keys import address, fingerprint, parse_address
from analyzer.domain.ssh_report import NoReport, parse_report
from analyzer.scanner.child.report import fit

SCAN = {"duration_ms": 1, "image_format": "ssh", "virtual_size_bytes": 0, "allocated_bytes": 0}
PARTS = {
    "os": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME=Debian',
    "system": "uid=0\nmachine=x86_64\nkernel=6.1.0-44-amd64\nhostname=db01\nnow=1795431061\nuptime=86400.5\nvcpus=4\n"
    "timezone=/usr/share/zoneinfo/Europe/Berlin\ninit=/usr/lib/systemd/systemd\nboot=uefi\nguest_agent=1",
    "dpkg": "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1\nArchitecture: amd64\nSection: httpd\n\n"
    "Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\nPriority: optional\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1",
    "automatic": "Package: libc6\nArchitecture: amd64\nAuto-Installed: 1",
    "units": "/lib/systemd/system/nginx.service\n/lib/systemd/system/getty@.service\n/lib/systemd/system/x.service",
    "unit_links": "multi-user.target.wants/nginx.service /lib/systemd/system/nginx.service\nx.service /dev/null",
    "scripts": "enabled legacy\ndisabled other",
    "users": "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin",
    "ports": 'tcp   LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))\n'
    'tcp   LISTEN 0 244 [::]:5432 [::]:* users:(("postgres",pid=9,fd=5))\n'
    'udp   UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=3,fd=1))\n'
    "tcp   ESTAB 0 0 10.0.0.1:22 10.0.0.9:5000",
    "processes": "nginx\npostgres",
    "images": "vmlinuz-6.1.0-44-amd64\nvmlinuz-6.1.0-41-amd64",
    "initramfs": "initrd.img-6.1.0-44-amd64",
    "drivers": "6.1.0-44-amd64 dep virtio_blk\n6.1.0-44-amd64 builtin ext4",
    "grub": "menuentry 'Debian' --id 'deb' {\n linux /boot/vmlinuz-6.1.0-44-amd64 root=/dev/vda1\n}",
    "modules": "virtio_net\nkvm",
    "pci": "DRIVER=virtio-pci\nPCI_ID=1AF4:1000\nPCI_SLOT_NAME=0000:00:04.0\nPCI_ID=8086:1\nPCI_SLOT_NAME=0000:00:05.0",
    "filesystems": "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n"
    "/dev/vda1 ext4 1000 400 600 40% /\ntmpfs tmpfs 10 0 10 0% /run\n/dev/vdb1 xfs 20 1 19 5% /srv/my data",
    "swap": "Filename Type Size Used Priority\n/dev/vda2 partition 2048 0 -2",
    "blkid": "DEVNAME=/dev/vda1\nUUID=0a-1\nTYPE=ext4\n\nDEVNAME=/dev/vdb1\nUUID=0b-2",
    "links": "2: eth0: <UP> mtu 1500 state UP link/ether 52:54:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n"
    "3: docker0: <UP> mtu 1500 link/ether 52:54:00:00:00:02 brd ff:ff:ff:ff:ff:ff",
    "addresses": "2: eth0 inet 10.0.0.5/24 brd 10.0.0.255 scope global dynamic eth0",
    "routes": "default via 10.0.0.1 dev eth0",
    "resolv": "nameserver 10.0.0.2",
    "cron": "/etc/crontab:17 * * * * root run-parts\n/etc/cron.d/x:PASSWORD=secret",
    "containers": "docker web ghcr.io/acme/web:1",
    "directories": "/opt/app",
    "entries": "/opt/app/a\n/opt/app/b\n/opt/other/c",
    "compose": "/opt/app/compose.yml",
}
COUNTERS = (
    "1000.0\ncpu  100 0 100 800 0 0 0 0 0 0\nMemTotal: 1000 kB\nMemAvailable: 250 kB\n"
    "net eth0: 1000 0 0 0 0 0 0 0 500 0\n"
    "disk  254 0 vda 1 0 100 0 1 0 200 0",
    "1002.0\ncpu  150 0 150 900 0 0 0 0 0 0\nMemTotal: 1000 kB\nMemAvailable: 250 kB\n"
    "net eth0: 3000 0 0 0 0 0 0 0 900 0\n"
    "disk  254 0 vda 1 0 300 0 1 0 600 0",
)


def answer(token="t0", end=True, **parts) -> bytes:
    told = [("counters", COUNTERS[0]), *(PARTS | parts).items(), ("counters", COUNTERS[1])]
    if end:
        told.append(("end", ""))
    return "".join(f"\n@@{token} {name}\n{text}\n" for name, text in told).encode()


def facts(data: bytes, token="t0") -> Facts:
    return Facts.model_validate(fit(facts_document(parse_report(data, token), areas=AREAS)) | {"scan": SCAN})


def test_a_machine_becomes_the_same_facts_as_a_disk():
    found = facts(answer())
    assert (found.os.id, found.os.version, found.hostname, found.boot_mode) == (
        "debian",
        "12",
        "db01",
        "uefi",
    )
    assert [(each.name, each.manual) for each in found.packages] == [("nginx", True), ("libc6", False)]
    states = {each.name: each.state for each in found.services}
    assert states == {
        "nginx.service": "enabled", "getty@.service": "disabled", "x.service": "masked",
        "legacy": "enabled", "other": "disabled",
    }  # fmt: skip
    ports = [(each.port, each.service, each.address) for each in found.listening]
    assert ports == [(53, "systemd-resolve", "127.0.0.53"), (80, "nginx", "*"), (5432, "postgresql", "*")]
    assert found.default_kernel.version == "6.1.0-44-amd64"
    assert found.default_kernel.drivers == {"virtio_blk", "ext4"}
    mounts = {
        each.mount_point: (each.kind, each.size_bytes, each.uuid)
        for each in found.filesystems
        if each.mount_point
    }
    assert mounts == {"/": ("ext4", 1024_000, "0a-1"), "/srv/my data": ("xfs", 20480, "0b-2")}
    (card,) = found.nics
    assert (card.addresses, card.addressing, card.gateway) == (("10.0.0.5/24",), "dhcp", "10.0.0.1")
    assert (found.running.vcpus, found.running.uptime_s, found.running.modules) == (
        4,
        86400,
        ("virtio_net", "kvm"),
    )
    assert [(each.id, each.driver) for each in found.running.pci] == [
        ("1af4:1000", "virtio-pci"),
        ("8086:1", ""),
    ]
    assert [(each.path, each.entries) for each in found.extras.directories] == [("/opt/app", 2)]
    assert (found.timezone, found.has_guest_agent, found.extras.containers[0].name) == (
        "Europe/Berlin",
        True,
        "web",
    )


def test_dnf_tells_which_rpms_were_asked_for():
    rpms = "httpd\t0\t2.4.57-5.el9\tx86_64\tx\nhttpd-core\t0\t2.4.57-5.el9\tx86_64\tx\nacme\t0\t1-1\tnoarch\tx"
    told = facts(answer(rpm=rpms, reasons="httpd|user\n\nhttpd-core|dependency\n"))
    manual = {each.name: each.manual for each in told.packages if each.manager == "rpm"}
    assert manual == {"httpd": True, "httpd-core": False, "acme": None}
    untold = facts(answer(rpm=rpms))
    assert {each.manual for each in untold.packages if each.manager == "rpm"} == {None}


def test_a_password_in_a_crontab_is_not_kept():
    assert facts(answer()).running.cron == ("/etc/crontab: 17 * * * * root run-parts",)


def test_two_looks_at_the_counters_are_a_sample():
    found = {each.metric: each.samples for each in facts(answer()).usage}
    assert found["cpu_percent"] == ((1795431061, 50.0),)
    assert found["memory_percent"] == ((1795431061, 75.0),)
    assert found["network_receive_bytes_per_s"] == ((1795431061, 1000.0),)
    assert found["disk_write_bytes_per_s"] == ((1795431061, 200 * 512),)
    assert facts(answer()).covered("usage").state == "partial"


def test_history_of_sysstat_counts_more_than_a_sample():
    row = {"timestamp": {"date": "2026-11-22", "time": "10:00:00"}, "cpu-load": [{"cpu": "all", "idle": 80}]}
    day = json.dumps({"sysstat": {"hosts": [{"statistics": [row]}]}}).encode()
    for text in (base64.encodebytes(gzip.compress(day)).decode(), day.decode()):
        found = facts(answer(sadf=text))
        assert [(each.metric, each.source, len(each.samples)) for each in found.usage] == [
            ("cpu_percent", "sysstat", 1)
        ]
        assert found.covered("usage").state == "full"


def test_a_day_that_never_ends_is_left_out():
    bomb = base64.encodebytes(gzip.compress(b"[" * (65 << 20))).decode()
    assert {each.source for each in facts(answer(sadf=bomb)).usage} == {"counters"}


def test_what_only_root_is_told_is_partial_for_others():
    found = facts(answer(system=PARTS["system"].replace("uid=0", "uid=1000")))
    assert found.covered("listening").state == "partial" and "sudo" in found.covered("listening").reason


def test_an_answer_that_broke_off_says_so():
    assert "broke off" in facts(answer(end=False)).covered("extras").reason


def test_a_file_that_looks_like_a_part_is_a_file():
    found = facts(answer(users="root:x:0:0::/:/bin/sh\n@@guess os\nID=evil"))
    assert found.os.id == "debian"


@pytest.mark.parametrize("data", [b"", b"This account is currently not available.\n", b"@@t0 os\nID=x\n"])
def test_what_is_no_answer_of_the_script_is_told(data):
    with pytest.raises(NoReport):
        parse_report(data, "t0")


def test_parts_without_end_are_refused():
    with pytest.raises(NoReport):
        parse_report(b"@@t0 os\n" * 300, "t0")


HOSTILE = st.sampled_from(sorted(PARTS)) | st.just("counters")


@given(st.dictionaries(HOSTILE, st.text(max_size=300), max_size=6))
def test_whatever_a_machine_answers_facts_keep_their_contract(parts):
    parts.setdefault("system", "uid=0")
    assert facts(answer(**parts)).scan.image_format == "ssh"


@given(
    st.lists(
        st.text(alphabet="0123456789 \tcpu:netdiskMemTotalvda.-/%\n", max_size=400), min_size=30, max_size=30
    )
)
def test_lines_of_numbers_that_are_none_do_no_harm(texts):
    found = facts(answer(**dict(zip(PARTS, texts, strict=False)) | {"os": "ID=x"}))
    assert all(sample[1] >= 0 for each in found.usage for sample in each.samples)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web1", ("web1", 22)),
        ("Web1.example.org:2222", ("web1.example.org", 2222)),
        ("192.0.2.7", ("192.0.2.7", 22)),
        ("[2001:db8::1]:2200", ("2001:db8::1", 2200)),
        ("2001:db8::1", ("2001:db8::1", 22)),
    ],
)
def test_addresses_are_read_as_people_write_them(text, found):
    assert parse_address(text, 22) == found
    assert parse_address(address(*found), 1) == found


@pytest.mark.parametrize(
    "text", ["", "a b", "web1:0", "web1:70000", "-oProxyCommand=x", "web1;rm", "a:b:c", "x" * 300]
)
def test_what_is_no_address_is_told(text):
    with pytest.raises(ValueError, match="is no address"):
        parse_address(text, 22)


def test_a_fingerprint_is_that_of_ssh_keygen():
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPWbfRvZfSK9hHGk02HHOQqWTcrPj/zk8f6DEHcHZyEe comment"
    assert fingerprint(key).startswith("SHA256:") and len(fingerprint(key)) == 50
    assert fingerprint("no key") == fingerprint("") == ""
