"""What a tiny guest is for: packages that are installed on purpose, services that start, files of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

HTTPD = """\
#!/bin/sh
# A page on port 80, so that a migrated guest has something to answer with.
case "$1" in
    start) busybox httpd -p 80 -h /var/www/html ;;
    stop) killall httpd ;;
esac
"""
# Debian's own scripts for both need LSB functions, which a guest of this size does not have
NGINX = """\
#!/bin/sh
case "$1" in
    start) mkdir -p /var/log/nginx /var/lib/nginx && nginx ;;
    stop) nginx -s quit ;;
esac
"""
REDIS = """\
#!/bin/sh
case "$1" in
    start) mkdir -p /var/lib/redis /run/redis && redis-server /etc/redis/redis.conf --daemonize yes --logfile "" ;;
    stop) redis-cli shutdown ;;
esac
"""
PAGE = "<!doctype html><title>{0}</title><p>{0} answers.</p>\n"


@dataclass(frozen=True)
class Role:
    """`services`: name → start script; `links`: path → what it points to."""

    hostname: str
    packages: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


PLAIN = Role("tiny", services={"httpd": HTTPD}, files={"var/www/html/index.html": PAGE.format("tiny")})
ARCHIVE = Role(
    "ledger-archive-01",
    services=PLAIN.services,
    files={"var/www/html/index.html": PAGE.format("ledger-archive-01")},
)
WEB = Role(
    "shop-web-01",
    packages=("nginx",),
    services={"nginx": NGINX},
    files={"var/www/html/index.html": PAGE.format("shop-web-01")},
    links={"etc/nginx/sites-enabled/default": "/etc/nginx/sites-available/default"},
)
CACHE = Role("session-cache-01", packages=("redis-server",), services={"redis-server": REDIS})
SCRIPTED = Role("scripted-01", packages=("bash", "python3-minimal"))
