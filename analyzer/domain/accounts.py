"""`/etc/passwd`, read without mercy for lines that are none."""

_NO_LOGIN = ("", "nologin", "false", "sync", "shutdown", "halt")


def parse_passwd(text: str) -> list[dict]:
    """Users in the shape of facts.User, in the order of the file."""
    found = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[0] and _is_id(fields[2]) and _is_id(fields[3]):
            shell = fields[6].strip()
            found.append(
                {
                    "name": fields[0],
                    "uid": int(fields[2]),
                    "gid": int(fields[3]),
                    "home": fields[5],
                    "shell": shell,
                    "can_login": (shell or "/bin/sh").rsplit("/", 1)[-1] not in _NO_LOGIN,
                }
            )
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32
