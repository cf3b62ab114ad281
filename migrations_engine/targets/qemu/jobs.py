"""Long scripts in the guest: started at most once for a key, followed from anywhere, also by another worker.

Everything that matters lies in files of the guest, so neither the agent's memory nor ours is needed to learn the end:

    /var/lib/migration-personas/jobs/<key>/   script  boot_id  pid  stdout  stderr  timed_out  end ("code began ended")
    and of an output that was cut:            stdout.head  stdout.tail  stdout.cut (how much there was at the last cut)
"""

import math
import re
import secrets
import time

from migrations_engine.domain.machine import Result, ScriptOutput
from migrations_engine.targets.base import (
    AgentUnavailable,
    KeepAlive,
    ScriptInterrupted,
    TargetError,
    no_keep_alive,
)
from migrations_engine.targets.qemu.agent import Agent

JOBS = "/var/lib/migration-personas/jobs"
TIMED_OUT = 124  # as coreutils' timeout
KEPT_BYTES = 128 * 1024  # of each end of an output; what lies between is counted and left out
MOST_KIB = 16 * 1024  # of an output on the guest's disk: past this its middle goes, so that the disk does not fill
SILENCE_S = 90  # how long an agent may be away while a script runs (it may restart it, or load the machine)
ANSWER_S = 30  # for one look at a script
GRACE_S = 45  # the guest's own watchdog ends a script; after this long past its limit we stop asking

START = r"""
set -eu
umask 077
job=$1 limit=$2
mkdir -p "${job%/*}"
draft=$(mktemp "${job%/*}/.script.XXXXXX")
cat > "$draft"
mkdir "$job" 2>/dev/null || { rm "$draft"; echo known; exit 0; }
mv "$draft" "$job/script"
chmod 700 "$job/script"
cat /proc/sys/kernel/random/boot_id > "$job/boot_id"
setsid /bin/sh -c "$3" watch "$job" "$limit" "$4" "$5" "$6" </dev/null >/dev/null 2>&1 &
echo started
"""
# Ends what a script has started, also what has left its process group: by its control group where the guest has them
# (version 2), else by the variable that it hands on. A process that gets rid of both is out of our sight.
END_ALL = r"""
group=/sys/fs/cgroup/migration-personas.${job##*/} mark=MIGRATION_PERSONAS_JOB=$job/
end_all() {
    kill -KILL "-$pid"
    if [ -e "$group/cgroup.procs" ]; then
        echo 1 > "$group/cgroup.kill" || kill -KILL $(cat "$group/cgroup.procs")
        for round in 1 2 3 4 5 6 7 8 9 10; do  # until they are gone, or the group could not be removed
            [ "$(cat "$group/cgroup.procs")" ] || return
            sleep 0.2 || sleep 1
        done
        return
    fi
    for round in 1 2 3 4 5; do  # it may go on forking meanwhile
        found=
        for each in /proc/[0-9]*; do
            case $(tr '\000' '\n' < "$each/environ") in *"$mark"*) kill -KILL "${each##*/}" && found=yes ;; esac
        done
        [ "$found" ] || return
    done
} 2>/dev/null
"""
IN_GROUP = r"""{ echo 0 > "$0/cgroup.procs" || rmdir "$0"; } 2>/dev/null; exec "$@" """
WATCH = r"""
job=$1 limit=$2 kept=$3 most=$4 in_group=$5
""" + END_ALL + r"""
cd /
umask 022  # our own files lie in folders of 0700; what a script writes, services must be able to read
if [ "$(head -c 2 "$job/script")" = '#!' ]; then set -- "$job/script"; else set -- /bin/sh "$job/script"; fi
read -r began rest < /proc/uptime
[ ! -e /sys/fs/cgroup/cgroup.procs ] || mkdir "$group" 2>/dev/null
env "$mark" setsid /bin/sh -c "$in_group" "$group" "$@" >"$job/stdout" 2>"$job/stderr" </dev/null &
pid=$!
echo "$pid" > "$job/pid"
(
    waited=0
    while [ "$waited" -lt "$limit" ]; do sleep 1; waited=$((waited + 1)); done
    : > "$job/timed_out"
    kill -TERM "-$pid"; sleep 5; kill -KILL "-$pid"
) 2>/dev/null &
watchdog=$!
cut() {  # the script stands still meanwhile, then goes on where it was: behind a hole, which takes no room
    kill -STOP "-$pid"
    [ -e "$1.head" ] || head -c "$kept" "$1" > "$1.head"
    tail -c "$kept" "$1" > "$1.tail"
    (set -- "$1" $(ls -ln "$1"); echo "$6" > "$1.cut")  # its size; BusyBox's wc would read it all, every time
    : > "$1"
    kill -CONT "-$pid"
}
(
    while sleep 0.2 2>/dev/null || sleep 1; do
        for output in "$job/stdout" "$job/stderr"; do
            set -- $(du -k "$output")
            [ "${1:-0}" -gt "$most" ] && cut "$output"
        done
    done
) 2>/dev/null &
cutter=$!
wait "$pid"
code=$?
kill "$watchdog" "$cutter"
[ ! -e "$job/timed_out" ] || end_all
rmdir "$group" 2>/dev/null  # stays while something that the script left is in it
read -r ended rest < /proc/uptime
echo "$code $began $ended" > "$job/end.part"
mv "$job/end.part" "$job/end"
sync
"""
STATE = r"""
job=$1
[ -d "$job" ] || { echo unknown; exit 0; }
[ -s "$job/end" ] && { echo "ended $(cat "$job/end") $([ -e "$job/timed_out" ] && echo yes)"; exit 0; }
[ "$(cat "$job/boot_id")" = "$(cat /proc/sys/kernel/random/boot_id)" ] && echo running || echo interrupted
"""
OUTPUT = r"""
size=$(set -- $(ls -ln "$1"); echo "$5") cut=$(cat "$1.cut" 2>/dev/null) || cut=0
[ "$size" -ge "$cut" ] || size=$cut
if [ "$size" -le $(($2 * 2)) ]; then cat "$1"; exit 0; fi
if [ "$cut" -gt 0 ]; then cat "$1.head"; else head -c "$2" "$1"; fi
printf '\n[... %s bytes left out ...]\n' $((size - $2 * 2))
if [ "$cut" -eq 0 ]; then tail -c "$2" "$1"; exit 0; fi
{ cat "$1.tail"; tail -c "$2" "$1" | tr -d '\000'; } | tail -c "$2"
"""
TAIL = r"""
[ -e "$1" ] || { echo 0; exit 0; }
set -- "$1" "$2" $(ls -ln "$1")
echo "$7"
tail -c "$2" "$1" | tr -d '\000'  # what was cut out is a hole
"""
STOP = "job=$1" + END_ALL + r"""
pid=$(cat "$job/pid" 2>/dev/null) || exit 0
[ -s "$job/end" ] && exit 0
kill -TERM "-$pid" 2>/dev/null; sleep 1; end_all
true
"""


def run_script(
    agent: Agent,
    script: str,
    timeout_s: float,
    once_key: str | None = None,
    keep_alive: KeepAlive = no_keep_alive,
) -> Result:
    """See `Target.run`. Safe to call again with the same `once_key` after any crash of ours."""
    job = job_folder(once_key or secrets.token_hex(8))
    limit = max(1, math.ceil(timeout_s))
    words = (WATCH, str(KEPT_BYTES), str(MOST_KIB), IN_GROUP)
    started = agent.sh(START, job, str(limit), *words, text=script)
    if started.exit_code:
        raise TargetError(f"the guest could not take the script: {started.stderr.strip()}")
    state = _wait(agent, job, limit + GRACE_S, keep_alive)
    code, began, ended = int(state[1]), float(state[2]), float(state[3])
    timed_out = len(state) > 4
    stdout, stderr = (
        agent.sh(OUTPUT, f"{job}/{name}", str(KEPT_BYTES)).stdout for name in ("stdout", "stderr")
    )
    return Result(TIMED_OUT if timed_out else code, stdout, stderr, round(ended - began, 2), timed_out)


def job_folder(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", key):
        raise ValueError(f"once_key {key!r}: letters, digits, '.', '_' and '-' only")
    return f"{JOBS}/{key}"


def _wait(agent: Agent, job: str, patience_s: float, keep_alive: KeepAlive) -> list[str]:
    """The words of the state once it ended. Raises AgentUnavailable, ScriptInterrupted."""
    heard = began = time.monotonic()
    pause = 0.1
    while True:
        keep_alive()
        try:
            state = agent.sh(STATE, job, timeout_s=ANSWER_S).stdout.split()
            heard = time.monotonic()
        except AgentUnavailable:
            state = ["silent"]
            if time.monotonic() - heard > SILENCE_S:
                raise
        if state[0] == "ended":
            return state
        if state[0] in ("interrupted", "unknown"):
            raise ScriptInterrupted(
                "the guest was reset while the script ran, and it is not started a second time"
            )
        if time.monotonic() - began > patience_s and state[0] == "running":
            raise AgentUnavailable("the guest's own watchdog did not end the script in time")
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def script_output(agent: Agent, once_key: str, max_bytes: int) -> ScriptOutput:
    told: list = []
    for name in ("stdout", "stderr"):
        answer = agent.sh(TAIL, f"{job_folder(once_key)}/{name}", str(max_bytes), timeout_s=10).stdout
        size, _, end = answer.partition("\n")
        told += [end, int(size) > max_bytes]
    return ScriptOutput(*told)


def stop_script(agent: Agent, once_key: str) -> None:
    agent.sh(STOP, job_folder(once_key))
