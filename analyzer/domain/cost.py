"""What a machine costs, in vCPUs: so that machines can be compared without anybody's price list.

The unit is what one vCPU costs. On the price lists of the large clouds a GiB of memory of a general-purpose machine
costs about an eighth of that, wherever both are priced apart. Disks are left out: they are paid by their own tariff,
and the same disk costs the same under any size. Nobody's invoice: for the area of a circle, and for nothing else.
"""

GIB_PER_VCPU = 8  # memory that costs as much as one vCPU
UNKNOWN_VCPUS, UNKNOWN_MEMORY_MIB = 1, 2048  # of a machine whose size nobody has told: the smallest usual one


def cost(vcpus: int | None, memory_mib: int | None) -> float:
    """In vCPUs."""
    memory_gib = (memory_mib or UNKNOWN_MEMORY_MIB) / 1024
    return (vcpus or UNKNOWN_VCPUS) + memory_gib / GIB_PER_VCPU
