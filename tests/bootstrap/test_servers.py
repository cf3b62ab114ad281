import os
import subprocess
import sys

import psycopg
import pytest
import redis

from tests import servers


def test_postgresql_keeps_what_was_committed_through_a_kill(postgresql_server):
    with psycopg.connect(postgresql_server.url) as connection:
        connection.execute("create table kept as select 1 as one")
    postgresql_server.kill()
    postgresql_server.start()
    with psycopg.connect(postgresql_server.url) as connection:
        assert connection.execute("select one from kept").fetchone() == (1,)


def test_redis_keeps_what_it_was_told_to_keep_through_a_kill(redis_server):
    client = redis.from_url(redis_server.url)
    client.config_set("appendfsync", "always")
    client.set("kept", "1")
    redis_server.kill()
    redis_server.start()
    assert client.get("kept") == b"1"


def test_a_stranger_without_the_password_gets_nothing(redis_server, postgresql_server):
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=redis_server.port).ping()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=postgresql_server.port, user="personas", dbname="personas")


@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_nothing_is_left_of_a_server_that_was_stopped(kind):
    with getattr(servers, kind)() as server:
        assert server.folder.stat().st_mode & 0o077 == 0
        assert os.stat(f"/proc/{server.process.pid}").st_uid != 0
    assert server.process.poll() is not None
    assert not server.folder.parent.exists()


def test_a_server_that_cannot_start_says_why():
    failing = servers.redis("--no-such-directive", "1")
    with pytest.raises(servers.ServerFailed, match=r"(?s)Redis did not start.*no-such-directive"), failing:
        pass


def test_a_server_dies_with_a_killed_test_command():
    script = (
        "import os, signal\n"
        "from tests import servers\n"
        "with servers.redis() as server:\n"
        "    print(server.port, server.url.split(':')[2].split('@')[0], server.folder.parent, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    port, password, folder = answer.stdout.split()
    try:
        for _ in range(1000):  # the kernel delivers its end at once; it still has to be scheduled
            if not servers.redis_answers(int(port), password):
                break
        assert not servers.redis_answers(int(port), password)
    finally:
        servers.shutil.rmtree(folder)  # a killed process cannot do it
