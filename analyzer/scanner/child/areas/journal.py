"""What the machine's journal tells of its use. A journal that cannot be read is told, and takes nothing else along."""

import struct
import time
from collections import OrderedDict

from analyzer.domain.journal import BadJournal, History, JournalFile, means
from analyzer.scanner.child.disk import Unreadable
from analyzer.scanner.child.filesystems import Reader
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_FILES = 64  # the newest; a machine keeps some 4 GiB of them at most
MOST_UNITS = 500
_BUDGET_S = 10  # a file of a week takes a tenth of a second
_CHUNK = 64 * 1024
_CACHED = 128  # 8 MiB
_DAMAGE = (BadJournal, Unreadable, OSError, struct.error, ValueError)


def read(tree: Tree, facts: dict, notes: Notes) -> str:
    """Fills `facts["journal"]`; says what that is worth, or why there is nothing."""
    paths = _paths(tree)
    if not paths:
        return "and no journal"
    history, bad, deadline = History(), "", time.monotonic() + _BUDGET_S
    count = 0
    for path in paths[:MOST_FILES]:
        try:
            history.add(JournalFile(_within(_cached(tree.opened(path)), deadline), tree.size(path)))
            count += 1
        except _DAMAGE as error:
            bad = (
                bad or f"{path.rsplit('/', 1)[1]}: {str(error).splitlines()[0][:200] or type(error).__name__}"
            )
    if bad:
        notes.partial("usage", f"journal unreadable: {bad}")
    if not history.boots:
        return f"journal unreadable: {bad}" if bad else "the journal is empty"
    facts["journal"] = _facts(history, count)
    _tell_out_of_memory(history, notes)
    return f"the journal tells sums and means of {len(history.boots)} boots, no samples"


def _paths(tree: Tree) -> list[str]:
    """The newest first: the one that is written, then by the time in the name of an archived one."""
    found = [path for path in tree.glob("/var/log/journal/*/*.journal", most=5000) if tree.is_file(path)]
    return sorted(found, key=lambda path: ("@" not in path, path.rsplit("-", 1)[-1]), reverse=True)


def _cached(read: Reader | None) -> Reader:
    """A journal is small objects beside each other; a file system answers a chunk as fast as a byte."""
    if read is None:
        raise BadJournal("it is no file")
    chunks: OrderedDict[int, bytes] = OrderedDict()

    def chunk(number: int) -> bytes:
        if number not in chunks:
            chunks[number] = read(number * _CHUNK, _CHUNK)
            if len(chunks) > _CACHED:
                chunks.popitem(last=False)
        return chunks[number]

    def answer(offset: int, length: int) -> bytes:
        first, last = offset // _CHUNK, max(offset + length - 1, offset) // _CHUNK
        start = offset - first * _CHUNK
        if first == last:
            return chunk(first)[start : start + length]
        return b"".join(chunk(number) for number in range(first, last + 1))[start : start + length]

    return answer


def _within(read: Reader, deadline: float) -> Reader:
    def answer(offset: int, length: int) -> bytes:
        if time.monotonic() > deadline:
            raise BadJournal(f"reading stopped after {_BUDGET_S} s")
        return read(offset, length)

    return answer


def _facts(history: History, files: int) -> dict:
    percents = {mean.started_s: mean.cpu_percent for mean in means(history)}
    spans = sorted((first // 1_000_000, last // 1_000_000) for first, last in history.boots.values())
    last_boot = max(history.boots, key=history.boots.__getitem__)
    uses = sorted(history.uses, key=lambda use: (use.cpu_s or 0, use.ended_s), reverse=True)
    return {
        "files": files,
        "processors": history.processors.get(last_boot),
        "boots": [
            {"started_s": first, "ended_s": last, "cpu_percent": percents.get(first)}
            for first, last in spans[-MOST_UNITS:]
        ],
        "units": [_use(use) for use in uses[:MOST_UNITS]],
        "restarts": [{"unit": unit, "count": count} for unit, count in history.restarts.most_common(100)],
        "out_of_memory": [
            {"at_s": at, "process": process} for at, process in sorted(history.out_of_memory)[-MOST_UNITS:]
        ],
    }


def _use(use) -> dict:
    names = ("unit", "started_s", "ended_s", "cpu_s", "memory_peak_bytes", "read_bytes", "write_bytes")
    return {name: getattr(use, name) for name in names}


def _tell_out_of_memory(history: History, notes: Notes) -> None:
    if not history.out_of_memory:
        return
    at, process = max(history.out_of_memory)
    day = time.strftime("%Y-%m-%d", time.gmtime(at))
    count = len(history.out_of_memory)
    killed = f"{count} processes were" if count > 1 else "a process was"
    text = f"{killed} killed for want of memory, the last ({process}) on {day}"
    notes.concern("warning", "out_of_memory", f"{text}: give the machine more memory than it has")
