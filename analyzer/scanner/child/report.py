"""The child's answer made fit for the contract: printable, bounded texts in the shape of `facts.Facts`."""

from analyzer.domain.printable import printable

# fields of facts.LongText; all others are facts.Text. A test ties this to the contract.
LONG = {
    "menu_id",
    "home",
    "shell",
    "evidence",
    "mount_point",
    "mounted_as",
    "source",
    "path",
    "image",
    "reason",
    "text",
} | {"compose_files", "cron"}
TEXT_LIMIT, LONG_LIMIT = 256, 1024
LIST_LIMITS = {
    "like": 16, "kernels": 64, "drivers_builtin": 64, "drivers_module": 64, "packages": 50_000, "services": 5_000,
    "users": 10_000, "listening": 1_000, "partitions": 256, "filesystems": 512, "nics": 256, "addresses": 64,
    "nameservers": 16, "usage": 32, "samples": 20_000, "directories": 256, "compose_files": 64, "containers": 512,
    "coverage": 10, "concerns": 256, "modules": 1_000, "pci": 256, "processes": 2_000, "cron": 500,
    "boots": 500, "units": 500, "restarts": 100, "out_of_memory": 500,
}  # fmt: skip


def fit(value: object, field: str = "") -> object:
    """`value` with every text escaped and cut, and every list cut, to what the contract of `field` allows."""
    if isinstance(value, str):
        return printable(value, LONG_LIMIT if field in LONG else TEXT_LIMIT)
    if isinstance(value, dict):
        return {key: fit(each, key) for key, each in value.items()}
    if field == "samples":
        return value  # numbers: 100,000 of them need no second look
    if isinstance(value, (list, tuple)):
        return [fit(each, field) for each in value[: LIST_LIMITS[field]]]
    return value
