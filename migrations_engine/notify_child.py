"""A process of its own that tells a service something: it may open no connection that it is not allowed to.

Apprise knows a hundred services and resolves names by itself; what it connects to is checked where every connection of
Python passes by, an audit hook, after the name is resolved and again for every redirect. It starts no program.

stdin: {"url", "schemes", "networks", "title", "body"} as JSON; without a title nothing is sent, only the address read.
stdout: {"shown": the address without secrets, "error": empty where it went well}.
"""

import io
import ipaddress
import json
import logging
import sys
from typing import Any

from migrations_engine.domain.notifications import scheme_of
from personas.domain.addresses import refusal

NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn")


def guard(networks: list[str]) -> None:
    """From now on, for the rest of this process."""
    allowed = [ipaddress.ip_network(each) for each in networks]

    def hook(event: str, arguments: tuple) -> None:
        if event in NEVER:
            raise PermissionError(f"{event} is not allowed here")
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            if address is None:
                return  # an answer on a connection that was let through
            told = refusal(address[0], allowed) if isinstance(address, tuple) else "a local socket"
            if told:
                raise PermissionError(f"not called: {told}")

    sys.addaudithook(hook)


def tell(asked: dict[str, Any]) -> dict[str, str]:
    if scheme_of(asked["url"]) not in asked["schemes"]:
        return {"shown": "", "error": "The operator has not allowed this kind of service."}
    import apprise  # a second of imports, of which some look at the system

    guard(asked["networks"])
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.WARNING, format="%(message)s", force=True)
    service = apprise.Apprise.instantiate(asked["url"], suppress_exceptions=True)
    if service is None:
        return {"shown": "", "error": "This is no address that the service understands."}
    shown = service.url(privacy=True)
    if not asked.get("title"):
        return {"shown": shown, "error": ""}
    if service.notify(title=asked["title"], body=asked["body"]):
        return {"shown": shown, "error": ""}
    return {"shown": shown, "error": " ".join(log.getvalue().split()) or "The service did not take it."}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(tell(json.load(sys.stdin))))
