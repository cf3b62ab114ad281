import pytest

from migrations_engine.domain.guest_report import UnreadableReport, memory_as_asked, parse_report
from migrations_engine.domain.machine import GuestDisk

ANSWER = """
@kernel
6.1.0-56-cloud-amd64

@vcpus
2

@memory_kib
222720

@hostname
web01

@os_release
ID=debian
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"

@modules
virtio_net
virtio_blk

@mounts
/dev/vda2 / ext4

@root_disk_sectors
10485760

@disks
vda 20971520 disk0
sda 131072

@fstab
/ ext4 defaults
/srv ext4 noatime,nofail

@root_filesystem_kib
4909205

@failed
networking.service

@kernels
6.1.0-55-cloud-amd64
6.1.0-56-cloud-amd64

@addresses
eth0 10.0.2.15/24

@end
"""


def test_a_guests_answer_is_read_with_its_units():
    report = parse_report(ANSWER)
    assert (report.kernel, report.vcpus, report.memory_mib) == ("6.1.0-56-cloud-amd64", 2, 217)
    assert report.root_disk_bytes == 5 * 2**30
    assert report.root_filesystem_bytes == 4909205 * 1024
    assert report.os_release == {"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
    assert report.modules == ("virtio_net", "virtio_blk")
    assert report.failed_units == ("networking.service",)
    assert report.addresses == ("eth0 10.0.2.15/24",)
    assert report.disks == (GuestDisk("vda", 10 * 2**30, "disk0"), GuestDisk("sda", 64 * 2**20))
    assert report.fstab == ("/ ext4 defaults", "/srv ext4 noatime,nofail")


def test_an_answer_that_breaks_off_is_no_report():
    with pytest.raises(UnreadableReport, match="breaks off"):
        parse_report(ANSWER.replace("@end", ""))


def test_an_answer_with_a_word_for_a_number_is_no_report():
    with pytest.raises(UnreadableReport):
        parse_report(ANSWER.replace("@vcpus\n2", "@vcpus\nmany"))


def test_a_root_disk_that_the_guest_cannot_tell_is_unknown():
    assert parse_report(ANSWER.replace("10485760", "")).root_disk_bytes is None


@pytest.mark.parametrize(
    ("seen", "asked", "fits"), [(217, 256, True), (962, 1024, True), (256, 512, False), (512, 256, False)]
)
def test_memory_fits_when_only_the_kernels_share_is_missing(seen, asked, fits):
    assert memory_as_asked(seen, asked) is fits
