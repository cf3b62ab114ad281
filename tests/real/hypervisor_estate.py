"""A running domain of a private libvirtd and all that is needed to move it."""

import time

from analyzer.models import VirtualMachine
from analyzer.services.discovery import source_discover
from migrations_engine.domain.terms import Terms
from tests import factories
from tests.servers import ended


class Estate:
    def __init__(self, libvirt, source, by, disk):
        self.libvirt, self.source, self.by, self.disk = libvirt, source, by, disk
        source_discover(source=source, by=by)
        self.vm = VirtualMachine.objects.get(source=source)
        script = factories.make_script("tiny-script", body="uname -r; exit 0")
        self.template = factories.make_template(department=source.department)
        self.persona = factories.make_persona(department=source.department, post_migration_script=script)
        self.target = factories.make_target()

    def launch(self, **terms):
        rows = {"template": self.template, "vm": self.vm, "personas": [self.persona], "by": self.by}
        return rows | {"terms": Terms(**terms)}


def wait_for_agent(libvirt) -> None:
    """A guest that is still booting hears no shutdown."""
    deadline = time.monotonic() + 180
    ping = ["virsh", "-q", "-c", libvirt.uri, "qemu-agent-command", "web01", '{"execute":"guest-ping"}']
    while ended(ping, {}).returncode:
        assert time.monotonic() < deadline, "the source's guest does not answer"
        time.sleep(0.5)
