"""Public keys and addresses as people write them."""

import base64
import binascii
import hashlib
import re
from ipaddress import ip_address

MOST_HOSTS = 5_000
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?", re.IGNORECASE)


def fingerprint(public_key: str) -> str:
    """ "SHA256:…" of a public key in OpenSSH's form, as `ssh-keygen -l` shows it; empty for no key."""
    words = public_key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse_address(text: str, default_port: int) -> tuple[str, int]:
    """(host, port) of "web1", "web1:2222", "192.0.2.7", "[2001:db8::1]:22". Raises ValueError."""
    host, port = text.strip(), default_port
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", host)
    if bracketed:
        host, port = bracketed[1], int(bracketed[2] or default_port)
    elif host.count(":") == 1:
        host, _, told = host.partition(":")
        port = int(told) if told.isascii() and told.isdigit() and len(told) <= 5 else 0
    if not 1 <= port <= 65535 or not (_is_ip(host) or (len(host) <= 253 and _NAME.fullmatch(host))):
        raise ValueError(
            f"{text.strip()[:60]!r} is no address; write web1.example.org, 192.0.2.7 or [2001:db8::1]:2222"
        )
    return host.lower(), port


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def address(host: str, port: int) -> str:
    """What `parse_address` reads again."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
