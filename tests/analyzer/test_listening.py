"""Ports read from the configuration of services."""

import pytest

from analyzer.domain import listening
from analyzer.domain.listening import split_address


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("80", "*", 80),
        ("*:80", "*", 80),
        ("[::]:443", "*", 443),
        ("[::1]:443", "::1", 443),
        ("10.0.0.1:5432", "10.0.0.1", 5432),
        ("0.0.0.0:22", "*", 22),
        ("localhost", "localhost", None),
        ("::1", "::1", None),
        ("99999", "*", None),
    ],
)
def test_addresses_are_taken_apart(text, address, port):
    assert split_address(text) == (address, port)


def test_nginx_listens_where_its_servers_say():
    text = """\
http { server { listen 8080 default_server; listen [::]:8080; }
  # listen 9;
  server {
    listen 127.0.0.1:9000 ssl;
    listen unix:/run/x.sock;
    listen 443 quic reuseport;
    listen example.org;
  }
}"""
    assert list(listening.nginx(text)) == [
        (1, "tcp", "*", 8080),
        (1, "tcp", "*", 8080),
        (4, "tcp", "127.0.0.1", 9000),
        (6, "udp", "*", 443),
        (7, "tcp", "example.org", 80),
    ]


def test_apache_leaves_out_what_depends_on_a_module():
    text = "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\nListen 127.0.0.1:8080\n"
    assert list(listening.apache(text)) == [(1, "tcp", "*", 80), (5, "tcp", "127.0.0.1", 8080)]


def test_sshd_joins_ports_and_addresses():
    assert list(listening.sshd("Port 22\nPort 2222\n")) == [(1, "tcp", "*", 22), (2, "tcp", "*", 2222)]
    assert list(listening.sshd("Port 2222\nListenAddress 10.0.0.1\nListenAddress [::1]:23\n")) == [
        (2, "tcp", "10.0.0.1", 2222),
        (3, "tcp", "::1", 23),
    ]
    assert list(listening.sshd("Match User bob\nPort 9\n")) == []


def test_postgresql_listens_on_localhost_unless_told_otherwise():
    assert list(listening.postgresql("#port = 5433\n")) == [(0, "tcp", "localhost", 5432)]
    text = "listen_addresses = '10.0.0.1, *'  # comment\nport = 5433\n"
    assert list(listening.postgresql(text)) == [(2, "tcp", "10.0.0.1", 5433), (2, "tcp", "*", 5433)]


def test_redis_on_port_zero_listens_nowhere():
    assert list(listening.redis("bind 127.0.0.1 -::1\nport 6379\n")) == [
        (2, "tcp", "127.0.0.1", 6379),
        (2, "tcp", "::1", 6379),
    ]
    assert list(listening.redis("port 0\n")) == []


def test_mysql_reads_the_servers_section_only():
    text = "[client]\nport = 1\n[mysqld]\nbind-address = 127.0.0.1\nport = 3307\n[mysqldump]\nport = 2\n"
    assert list(listening.mysql(text)) == [(5, "tcp", "127.0.0.1", 3307)]
    assert list(listening.mysql("[mysqld]\nport = 3307\nskip-networking\n")) == []


def test_the_other_daemons():
    assert list(listening.memcached("-m 64\n-p 11212\n-l 127.0.0.1\n")) == [(3, "tcp", "127.0.0.1", 11212)]
    master = "smtp      inet  n       -       y       -       -       smtpd\n127.0.0.1:10025 inet n - y - - smtpd\n"
    assert [found[2:] for found in listening.postfix(master)] == [("*", 25), ("127.0.0.1", 10025)]
    assert list(listening.haproxy("frontend a\n bind *:80,:443 ssl crt x\n")) == [
        (2, "tcp", "*", 80),
        (2, "tcp", "*", 443),
    ]
    server = '<!-- <Connector port="1"/> -->\n<Connector port="8080" protocol="HTTP/1.1" address="::1"/>'
    assert list(listening.tomcat(server)) == [(2, "tcp", "::1", 8080)]
    assert list(listening.mongod("net:\n  port: 27018\n  bindIp: 127.0.0.1\n")) == [
        (2, "tcp", "127.0.0.1", 27018)
    ]


@pytest.mark.parametrize("daemon", listening.DAEMONS, ids=lambda daemon: daemon.service)
def test_no_daemon_stumbles_over_nonsense(daemon):
    for text in (
        "",
        "\0\0",
        "listen",
        "port",
        "Port x\nListen\n[",
        "bind :::::\n" * 50,
        "=\n=:=\n",
        "é" * 5000,
    ):
        assert all(1 <= port <= 65535 for _, _, _, port in daemon.parse(text))
