"""A real guest as a machine of the inventory: its image lies below IMAGE_ROOTS; persona and template wait for it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from config.quickstart.guests import Guest, build_guest
from tests import factories


@dataclass
class RealEstate:
    guest: Guest
    vm: object
    template: object
    persona: object
    target: object
    operator: object

    def launch(self, **changes):
        return {
            "template": self.template,
            "vm": self.vm,
            "personas": [self.persona],
            "by": self.operator,
        } | changes

    @property
    def disk(self) -> Path:
        return Path(self.vm.disks.get().path)


def real_estate(
    name: str, *, script: str, interpreter: str = "sh", template: dict, persona: dict
) -> RealEstate:
    """`template` and `persona`: columns beyond the script, which the persona carries."""
    guest = build_guest(name, settings.CACHE_DIR / "guests")
    images = settings.IMAGE_ROOTS[0]
    images.mkdir(parents=True, exist_ok=True)
    disk = images / f"{name}.raw"
    if not disk.exists():
        os.link(guest.path, disk)
    member = factories.make_member(role="admin")
    department = member.memberships.get().department
    source = factories.make_source(department, location=str(images))
    vm = factories.make_vm(source=source, path=disk, size=disk.stat().st_size, name=f"{name}-source")
    columns = {
        "post_migration_script": factories.make_script(f"{name}-script", body=script, interpreter=interpreter)
    }
    return RealEstate(
        guest=guest,
        vm=vm,
        template=factories.make_template(department=department, **template),
        persona=factories.make_persona(department=department, **(columns | persona)),
        target=factories.make_target(),
        operator=member,
    )


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
