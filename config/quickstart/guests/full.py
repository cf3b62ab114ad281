"""The full guest: Debian 12 with systemd, cloud-init, the guest agent, two kernels, nginx and PostgreSQL.

Made by mmdebstrap from the machine's own package sources; a database with rows in it, a page to serve, people who may
log in, and a network card that is called as on the machine it came from (ens3).
"""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from config.quickstart.guests.apt import Apt, GuestBuildError, run
from config.quickstart.guests.disk import Layout, fetch_grub, write_disk, write_menu
from config.quickstart.guests.kernels import newest_two
from config.quickstart.guests.tiny import Built

SIZE_MIB = 1536  # two thirds are used; each look at the whole disk costs, its holes too
PACKAGES = (
    "systemd-sysv", "dbus", "udev", "initramfs-tools", "zstd", "grub2-common", "grub-pc-bin",
    "cloud-init", "qemu-guest-agent", "openssh-server", "ifupdown", "isc-dhcp-client", "sudo",
    "nftables", "iproute2", "sysstat", "nginx-light", "postgresql", "curl",
)  # fmt: skip
APT_SETTINGS = re.compile(r"^Acquire::(?:https?::(?:Proxy|CaInfo)\S*|Retries|Check-\S+) .*$", re.MULTILINE)
HOSTNAME = "db01"

IN_CHROOT = r"""
set -e
rm /etc/dpkg/dpkg.cfg.d/99mmdebstrap
useradd --create-home --shell /bin/bash --groups sudo alice
useradd --create-home --shell /bin/bash bob
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service >/dev/null 2>&1
cd /etc/postgresql/*/main
version=$(basename "$(dirname "$PWD")")
printf "listen_addresses = '*'\nshared_buffers = 64MB\n" > conf.d/network.conf
echo "host all all 10.0.0.0/8 scram-sha-256" >> pg_hba.conf
chown postgres: conf.d/network.conf
# single-user mode: rows without a running server
su postgres -c "/usr/lib/postgresql/$version/bin/postgres --single -D /var/lib/postgresql/$version/main \
    -c config_file=$PWD/postgresql.conf postgres" >/dev/null <<'SQL'
CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL, cents integer NOT NULL)
INSERT INTO orders SELECT n, 'customer ' || n % 50, n * 7 % 9999 FROM generate_series(1, 5000) AS n
SQL
"""
INTERFACES = """\
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

auto ens3
iface ens3 inet dhcp
"""
GRUB = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="console=ttyS0"
GRUB_TERMINAL=serial
"""
PAGE = "<!doctype html><title>Orders</title><h1>Orders</h1><p>The database host answers.</p>\n"


def build_full(
    image: Path, scratch: Path, cache: Path, root_uuid: str, progress: Callable[[float, str], None]
) -> Built:
    """Writes a raw image. About 80 s; an ordinary user needs `uidmap` and an entry in /etc/subuid."""
    progress(0.02, "asking apt which packages exist")
    apt = Apt.open(cache / "apt")
    kernels = newest_two(apt)
    grub = fetch_grub(apt, cache)
    archive, tree = scratch / "full.tar", scratch / "tree"
    _bootstrap(apt, kernels, archive, scratch, progress)

    progress(0.85, "unpacking the system")
    tree.mkdir(mode=0o755)
    own = as_every_user()
    run([*own, "tar", "-x", "-C", str(tree), "--exclude=./dev/*", "-f", str(archive)])
    archive.unlink()
    _own_files(tree, kernels, root_uuid, grub)
    progress(0.92, "writing the disk")
    write_disk(image, tree, Layout(SIZE_MIB, root_uuid), grub, own)
    packages = _installed(tree)
    run([*own, "rm", "-rf", str(tree)])
    return Built(kernels, packages, root_uuid)


def as_every_user() -> tuple[str, ...]:
    """What to put before a command so that it may own files as any user of the guest."""
    return () if os.geteuid() == 0 else ("unshare", "--map-root-user", "--map-auto", "--")


def _bootstrap(
    apt: Apt, kernels: tuple[str, ...], archive: Path, scratch: Path, progress: Callable[[float, str], None]
) -> None:
    included = ",".join((*PACKAGES, *(f"linux-image-{version}" for version in kernels)))
    settings = APT_SETTINGS.findall(run(["apt-config", *apt.options, "dump"]))
    # what is built in a scratch folder need not survive a crash: dpkg would wait for the disk after each file
    command = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--include={included}",
               "--dpkgopt=force-unsafe-io",
               *(f"--aptopt={line}" for line in settings),
               f'--customize-hook=chroot "$1" sh -c {shlex.quote(IN_CHROOT)}',
               "", str(archive), "-"]  # fmt: skip
    try:
        bootstrap = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=scratch,
        )
    except FileNotFoundError as error:
        raise GuestBuildError("mmdebstrap is not installed") from error
    with bootstrap:
        bootstrap.stdin.write(_sources(apt))
        bootstrap.stdin.close()
        words = []
        for line in bootstrap.stderr:
            words.append(line.rstrip())
            if line.startswith("I: "):
                # mmdebstrap says about 14 such lines; what comes between them it measures in its own way
                progress(
                    min(0.05 + 0.06 * sum(word.startswith("I: ") for word in words), 0.83), line[3:].strip()
                )
    if bootstrap.returncode:
        raise GuestBuildError("mmdebstrap failed: " + "\n".join(words[-12:]))


def _sources(apt: Apt) -> str:
    """Debian's part of the machine's package sources, one line each."""
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    rows = run(["apt-get", *apt.options, "indextargets", "--format", form, "Created-By: Packages"]).split()
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    signed = f"[signed-by={keyring}] " if keyring.exists() else ""
    parts = [row.split("|") for row in rows if row.startswith("Debian|")]
    if not parts:
        raise GuestBuildError("apt has no Debian sources here: the full guest is built from them")
    return "".join(f"deb {signed}{uri} {release} {component}\n" for _, uri, release, component in parts)


def _own_files(tree: Path, kernels: tuple[str, ...], root_uuid: str, grub: Path) -> None:
    modules = tree / "boot/grub/i386-pc"
    modules.mkdir(parents=True)
    for module in (grub / "usr/lib/grub/i386-pc").glob("*.mod"):
        (modules / module.name).write_bytes(module.read_bytes())
    for path, text in {
        "etc/network/interfaces": INTERFACES,
        "etc/default/grub": GRUB,
        "etc/default/sysstat": 'ENABLED="true"\n',
        "etc/hostname": f"{HOSTNAME}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {HOSTNAME}\n",
        "etc/fstab": f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n",
        "etc/machine-id": f"{root_uuid.replace('-', '')}\n",
        "var/www/html/index.html": PAGE,
    }.items():
        (tree / path).unlink(missing_ok=True)
        (tree / path).write_text(text)
    write_menu(tree, kernels, root_uuid)


def _installed(tree: Path) -> dict[str, str]:
    form = "${Package} ${Version}\n"
    rows = run(["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "--show", "--showformat", form]).splitlines()
    return dict(row.split(" ", 1) for row in rows)
