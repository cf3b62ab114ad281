"""Observed behaviour: CPU, memory, network, disk over time."""

from django.db import models

from analyzer.domain.usage import DAY_S
from analyzer.domain.usage_codec import packed, unpacked
from personas.models.owned import OwnedQuerySet


class Metric(models.TextChoices):
    CPU = "cpu_percent", "CPU (%)"
    MEMORY = "memory_percent", "Memory (%)"
    NET_IN = "net_in_mbps", "Network in (Mbit/s)"
    NET_OUT = "net_out_mbps", "Network out (Mbit/s)"
    DISK_READ = "disk_read_mibs", "Disk read (MiB/s)"
    DISK_WRITE = "disk_write_mibs", "Disk write (MiB/s)"


class UsageSeriesQuerySet(OwnedQuerySet):
    department_path = "vm__department"


class UsageCounters(models.Model):
    """What a hypervisor's counters of a machine were at the last look: the next look gives the means between."""

    vm = models.OneToOneField(
        "analyzer.VirtualMachine", models.CASCADE, primary_key=True, related_name="usage_counters"
    )
    taken_at = models.DateTimeField()
    values = models.JSONField(default=dict)

    objects = UsageSeriesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "usage counters"

    def __str__(self):
        return f"counters of {self.vm}"

    @property
    def department(self):
        return self.vm.department


class UsageSeries(models.Model):
    """One metric of one VM for one UTC day: `values` has 86400 / step_s slots, null where nothing was measured.

    Kept packed (analyzer.domain.usage_codec), some 500 bytes a day of five minutes; docs/adr tells the figures."""

    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="usage")
    metric = models.CharField(max_length=16, choices=Metric)
    day = models.DateField()
    step_s = models.PositiveIntegerField(default=300)
    packed = models.BinaryField()

    objects = UsageSeriesQuerySet.as_manager()

    class Meta:
        ordering = ["vm", "metric", "day"]
        verbose_name_plural = "usage series"
        constraints = [models.UniqueConstraint(fields=["vm", "metric", "day"], name="one_series_per_day")]

    def __str__(self):
        return f"{self.metric} of {self.vm} on {self.day}"

    @property
    def values(self) -> list[float | None]:
        return unpacked(self.packed, DAY_S // self.step_s)

    @values.setter
    def values(self, told) -> None:
        self.packed = packed(told)
