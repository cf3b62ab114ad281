"""Alpine's package database: `lib/apk/db/installed` and the world file."""


def parse_installed(text: str, world: str) -> list[dict]:
    """Packages {name, version, architecture, manual}; manual: somebody wrote it into `/etc/apk/world`."""
    wanted = {line.split("=")[0].split("<")[0].split(">")[0].split("~")[0] for line in world.split()}
    found = []
    for stanza in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in stanza.splitlines() if line[1:2] == ":"}
        if "P" in fields:
            found.append(
                {
                    "name": fields["P"],
                    "version": fields.get("V", ""),
                    "architecture": fields.get("A", ""),
                    "manual": fields["P"] in wanted,
                }
            )
    return found
