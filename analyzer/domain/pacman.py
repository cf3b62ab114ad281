"""One package of Arch's local database: `var/lib/pacman/local/NAME-VERSION/desc`."""


def parse_desc(text: str) -> dict | None:
    """{name, version, architecture, manual}; None if the file names no package. %REASON% 1 = a dependency."""
    fields = {}
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if len(lines) >= 2:
            fields[lines[0].strip("%")] = lines[1]
    if "NAME" not in fields:
        return None
    return {
        "name": fields["NAME"],
        "version": fields.get("VERSION", ""),
        "architecture": fields.get("ARCH", ""),
        "manual": fields.get("REASON", "0") == "0",
    }
