"""Installed kernels, which one starts by itself, and which drivers of interest to a move each has."""

import re

from analyzer.domain import grub
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

# what a machine of another hypervisor, cloud or bare metal needs to see its disk and its network
DRIVERS = (
    "virtio_blk", "virtio_net", "virtio_scsi", "virtio_pci", "virtio_console", "virtio_balloon", "virtio_rng",
    "ahci", "ata_piix", "nvme", "sd_mod", "mptspi", "vmw_pvscsi", "megaraid_sas",
    "e1000", "e1000e", "vmxnet3", "8139cp", "ixgbevf", "ena", "gve", "mlx5_core",
    "xen_blkfront", "xen_netfront", "hv_storvsc", "hv_netvsc", "ext4", "xfs", "btrfs", "dm_mod", "nf_tables",
)  # fmt: skip
_MODULE_FILE = re.compile(r"([^/\s:]+)\.ko(?:\.(?:gz|xz|zst))?(?=[:\s]|$)", re.MULTILINE)
_LIST_LIMIT = 8 << 20  # modules.dep of a full kernel is 0.7 MB
MOST_KERNELS = 64


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    images = _images(tree)
    entries, default = _menu(tree)
    if default is None and len(images) == 1:
        default = next(iter(images))  # no boot loader menu, but nothing else that could start
    facts["kernels"] = [
        _kernel(tree, version, images[version], entries, version == default)
        for version in sorted(images, key=_natural, reverse=True)[:MOST_KERNELS]
    ]
    if not images:
        notes.partial(
            "kernels", "no kernel in /boot: the machine is started from outside, or /boot is elsewhere"
        )
    elif not entries:
        notes.partial("kernels", "no GRUB menu was found: how to choose a kernel is unknown")
    notes.full("kernels")
    _concern(facts["kernels"], notes)


def _images(tree: Tree) -> dict[str, str]:
    """Kernel release -> the name that its files carry in /boot (Alpine and Arch name them by flavour)."""
    modules = [name for name, kind in tree.listing("/lib/modules").items() if kind == "dir"]
    found = {}
    for name, kind in tree.listing("/boot").items():
        label = grub.kernel_version(name) if kind == "file" else ""
        if label and "rescue" not in label and not label.endswith((".old", ".bak")):
            found[_release(tree, label, modules)] = label
    for release in modules:
        if tree.is_file(f"/lib/modules/{release}/vmlinuz"):
            found.setdefault(release, release)
    return found


def _release(tree: Tree, label: str, modules: list[str]) -> str:
    if label in modules:
        return label
    for release in modules:
        base = (tree.text(f"/lib/modules/{release}/pkgbase") or "").strip()
        if label == base or release.endswith(f"-{label}"):
            return release
    return label


def _menu(tree: Tree) -> tuple[list[grub.Entry], str | None]:
    """The boot menu's entries and the kernel release that starts by default."""
    folders = ("/boot/grub", "/boot/grub2", *tree.glob("/boot/efi/EFI/*"))
    environment = {}
    for folder in folders:
        environment |= grub.parse_environment(tree.text(f"{folder}/grubenv") or "")
    for folder in folders:
        text = tree.text(f"{folder}/grub.cfg", limit=4 << 20)
        if text and "menuentry" in text:
            entries = grub.parse_menu(text)
            chosen = grub.default_entry(entries, grub.configured_default(text, environment))
            if entries:
                return entries, chosen.version if chosen else None
    return _loader_entries(tree, environment)


def _loader_entries(tree: Tree, environment: dict[str, str]) -> tuple[list[grub.Entry], str | None]:
    entries = []
    for pattern in (
        "/boot/loader/entries/*.conf",
        "/boot/efi/loader/entries/*.conf",
        "/efi/loader/entries/*.conf",
    ):
        for path in tree.glob(pattern):
            entry = grub.parse_bls(tree.text(path) or "", path.rsplit("/", 1)[-1].removesuffix(".conf"))
            if entry:
                entries.append(entry)
    entries.sort(key=lambda entry: _natural(entry.version), reverse=True)
    saved = environment.get("saved_entry", "")
    normal = [entry for entry in entries if not entry.recovery]
    chosen = next(
        (entry for entry in entries if saved and entry.menu_id == saved), normal[0] if normal else None
    )
    return entries, chosen.version if chosen else None


def _kernel(tree: Tree, version: str, label: str, entries: list[grub.Entry], default: bool) -> dict:
    entry = grub.menu_id_for(entries, version) or grub.menu_id_for(entries, label)
    modules = f"/lib/modules/{version}"
    builtin = _drivers(tree.text(f"{modules}/modules.builtin", _LIST_LIMIT))
    loadable = _drivers(tree.text(f"{modules}/modules.dep", _LIST_LIMIT))
    names = (f"initrd.img-{label}", f"initramfs-{label}.img", f"initrd-{label}", f"initramfs-{label}")
    return {
        "version": version,
        "default": default,
        "menu_id": entry.menu_id if entry else None,
        "title": entry.title if entry else "",
        "initramfs": any(tree.is_file(f"/boot/{name}") for name in names),
        "drivers_builtin": [name for name in DRIVERS if name in builtin],
        "drivers_module": [name for name in DRIVERS if name in loadable and name not in builtin],
    }


def _drivers(text: str | None) -> set[str]:
    return {name.replace("-", "_") for name in _MODULE_FILE.findall(text or "")}


def _concern(kernels: list[dict], notes: Notes) -> None:
    for kernel in kernels:
        drivers = {*kernel["drivers_builtin"], *kernel["drivers_module"]}
        if drivers and not drivers & {"virtio_blk", "virtio_scsi"}:
            text = f"kernel {kernel['version']} has no virtio disk driver: give the machine a SATA disk"
            notes.concern("warning", "no_virtio", text)


def _natural(version: str) -> list:
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.findall(r"\d+|\D+", version[:256])
    ]
