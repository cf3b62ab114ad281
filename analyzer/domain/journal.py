"""systemd's journal files (systemd.io/JOURNAL_FILE_FORMAT), read by their own index: no record is looked at in vain.

A journal links every value of a field to the entries that hold it. So the few messages that tell of a machine's use
are found without reading the others: what a unit used until it stopped, the boots, services that were started again,
processes killed for want of memory. Values are stored as they are up to 512 bytes, and all these are short; what is
compressed is passed over.
"""

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes, shorter at the end

# sd-messages.h
RESOURCES_USED = b"ae8f7b866b0347b9af31fe1c80b127c0"  # SD_MESSAGE_UNIT_RESOURCES
UNIT_STARTED = b"39f53479d3a045ac8e11786248231fbf"  # SD_MESSAGE_UNIT_STARTED
RESTART_SCHEDULED = b"5eb03494b6584870a536b337290809b2"  # SD_MESSAGE_UNIT_RESTART_SCHEDULED

MOST_OBJECTS = 300_000  # of one file: some 3 s; a chain that bites its own tail ends here as well
MOST_RECORDS = 2_000  # of one kind in one file; the newest
MOST_MESSAGES = 20_000  # distinct texts that are looked at for the kernel's words
LONGEST_VALUE = 512  # systemd compresses what is longer
_DATA, _FIELD, _ENTRY, _ENTRY_ARRAY = 1, 2, 3, 6
_KEYED, _ZSTD, _COMPACT = 4, 8, 16
_KNOWN_FLAGS = 1 | 2 | _KEYED | _ZSTD | _COMPACT
_KILLED = re.compile(rb"(?:Memory cgroup out|Out) of memory: Killed process \d+ \((.{1,64}?)\)")
_PROCESSORS = re.compile(rb"smp: Brought up \d+ nodes?, (\d{1,4}) CPUs?")


class BadJournal(ValueError):
    """The file is no journal, damaged, or a trap; the message is for the user."""


@dataclass(frozen=True)
class Value:
    """A DATA object: one value of one field. `text` is None where it is compressed or long."""

    text: bytes | None
    entry: int
    array: int
    count: int


@dataclass(frozen=True)
class Entry:
    realtime_us: int
    boot: bytes
    items: tuple[int, ...]


class JournalFile:
    """Raises BadJournal from every method."""

    def __init__(self, read: Read, size: int):
        self._read, self._size, self._left = read, size, MOST_OBJECTS
        head = read(0, 208)
        if len(head) < 208 or head[:8] != b"LPKSHHRH":
            raise BadJournal("not a journal file")
        flags = struct.unpack_from("<I", head, 12)[0]
        if flags & ~_KNOWN_FLAGS:
            raise BadJournal("written by a newer systemd than is known here")
        self._compact = bool(flags & _COMPACT)
        self._fields_at, self._fields_bytes = struct.unpack_from("<QQ", head, 120)
        self._heads: dict[bytes, int] | None = None

    def values(self, name: bytes, most: int = MOST_OBJECTS) -> Iterator[Value]:
        """All values of a field, the one that was written last first."""
        at = self._fields().get(name, 0)
        while at and most:
            body = self._object(at, _DATA, 64)
            following, entry, array, count = struct.unpack_from("<QQQQ", body, 32)
            yield Value(self._text(at, body), entry, array, count)
            at, most = following, most - 1

    def entries(self, value: Value, most: int = MOST_RECORDS) -> list[int]:
        """Places of the entries that hold the value, oldest first; of more than `most` the newest."""
        found = [value.entry] if value.entry else []
        for _, items in self._arrays(value.array):
            found += [item for item in items if item]
            if len(found) > MOST_OBJECTS:
                raise BadJournal("its index is longer than any journal's")
        return found[-most:]

    def last_entry(self, value: Value) -> int:
        last = value.entry
        for _, items in self._arrays(value.array):
            last = next((item for item in reversed(items) if item), last)
        return last

    def entry(self, at: int) -> Entry:
        body = self._object(at, _ENTRY, 64)
        size = struct.unpack_from("<Q", body, 8)[0]
        count = min((size - 64) // (4 if self._compact else 16), 1024)  # journald writes some 30
        body += self._bytes(at + 64, size - 64)
        step, code = (4, "<I") if self._compact else (16, "<Q")
        items = tuple(struct.unpack_from(code, body, 64 + number * step)[0] for number in range(count))
        return Entry(struct.unpack_from("<Q", body, 24)[0], body[40:56], items)

    def fields_of(self, entry: Entry) -> dict[bytes, bytes]:
        """Names and values of an entry, as far as they are short."""
        texts = (self._text(at, self._object(at, _DATA, 64)) for at in entry.items)
        return dict(text.split(b"=", 1) for text in texts if text and b"=" in text)

    def _fields(self) -> dict[bytes, int]:
        """Name → its first value. The table has a few hundred places: looking into all spares us its hash."""
        if self._heads is None:
            self._heads = {}
            for number in range(min(self._fields_bytes // 16, 65536)):
                at = struct.unpack("<Q", self._bytes(self._fields_at + number * 16, 8))[0]
                while at:
                    body = self._object(at, _FIELD, 40)
                    size, following, first = (
                        struct.unpack_from("<Q", body, place)[0] for place in (8, 24, 32)
                    )
                    self._heads[self._bytes(at + 40, min(size - 40, 128))] = first
                    at = following
        return self._heads

    def _arrays(self, at: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        step, code = (4, "I") if self._compact else (8, "Q")
        while at:
            body = self._object(at, _ENTRY_ARRAY, 24)
            size, following = struct.unpack_from("<QQ", body, 8)
            count = min((size - 24) // step, MOST_OBJECTS)
            yield at, struct.unpack(f"<{count}{code}", self._bytes(at + 24, count * step))
            at = following

    def _text(self, at: int, body: bytes) -> bytes | None:
        start = 72 if self._compact else 64
        size = struct.unpack_from("<Q", body, 8)[0] - start
        compressed = body[1] & 7
        return None if compressed or not 0 < size <= LONGEST_VALUE else self._bytes(at + start, size)

    def _object(self, at: int, kind: int, length: int) -> bytes:
        """The first `length` bytes of an object, of which each file may have so many."""
        self._left -= 1
        if self._left < 0:
            raise BadJournal(f"it has more than {MOST_OBJECTS} objects, or its index is a circle")
        body = self._bytes(at, length)
        if body[0] != kind or struct.unpack_from("<Q", body, 8)[0] < length:
            raise BadJournal("its index leads to something else")
        return body

    def _bytes(self, at: int, length: int) -> bytes:
        if not 0 <= length <= 1 << 24 or at + length > self._size:
            raise BadJournal("it is cut off")
        self._left -= length >> 12  # a page counts as an object: large arrays are work as well
        data = self._read(at, length)
        if len(data) < length:
            raise BadJournal("it is cut off")
        return data


@dataclass(frozen=True)
class UnitUse:
    """What a unit used in one run, as systemd wrote it down at its stop. Times in seconds since 1970 UTC."""

    unit: str
    started_s: int | None
    ended_s: int
    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    boot: bytes = b""


@dataclass
class History:
    """What several files tell together. `boots`: id → (first, last) second that was written in it."""

    boots: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    uses: list[UnitUse] = field(default_factory=list)
    restarts: Counter = field(default_factory=Counter)
    out_of_memory: set[tuple[int, str]] = field(default_factory=set)
    processors: dict[bytes, int] = field(default_factory=dict)

    def add(self, file: JournalFile) -> None:
        self._boots(file)
        messages = {value.text[11:]: value for value in file.values(b"MESSAGE_ID", 4096) if value.text}
        starts = self._starts(file, messages)
        for entry, fields in _records(file, messages.get(RESOURCES_USED)):
            self.uses.append(_use(entry, fields, starts))
        for _, fields in _records(file, messages.get(RESTART_SCHEDULED)):
            self.restarts[_unit(fields)] += 1
        self._kernel(file)

    def _boots(self, file: JournalFile) -> None:
        for value in file.values(b"_BOOT_ID", 4096):
            if value.entry:
                first, last = file.entry(value.entry), file.entry(file.last_entry(value))
                known = self.boots.get(first.boot, (first.realtime_us, last.realtime_us))
                self.boots[first.boot] = (min(known[0], first.realtime_us), max(known[1], last.realtime_us))

    def _starts(self, file: JournalFile, messages: dict[bytes, Value]) -> dict[tuple[bytes, str], list[int]]:
        starts: dict[tuple[bytes, str], list[int]] = {}
        for entry, fields in _records(file, messages.get(UNIT_STARTED)):
            starts.setdefault((entry.boot, _unit(fields)), []).append(entry.realtime_us)
        return starts

    def _kernel(self, file: JournalFile) -> None:
        for value in file.values(b"MESSAGE", MOST_MESSAGES):
            text = value.text or b""
            if killed := _KILLED.search(text):
                name = killed[1].decode("utf-8", "replace")
                moments = (file.entry(at).realtime_us for at in file.entries(value))
                self.out_of_memory |= {(moment // 1_000_000, name) for moment in moments}
            elif counted := _PROCESSORS.search(text):
                for at in file.entries(value):
                    self.processors[file.entry(at).boot] = int(counted[1])


def _records(file: JournalFile, value: Value | None) -> Iterator[tuple[Entry, dict[bytes, bytes]]]:
    for at in file.entries(value) if value else ():
        entry = file.entry(at)
        yield entry, file.fields_of(entry)


def _unit(fields: dict[bytes, bytes]) -> str:
    return (fields.get(b"UNIT") or fields.get(b"USER_UNIT") or b"").decode("utf-8", "replace")


def _use(entry: Entry, fields: dict[bytes, bytes], starts: dict[tuple[bytes, str], list[int]]) -> UnitUse:
    unit = _unit(fields)
    before = [moment for moment in starts.get((entry.boot, unit), ()) if moment <= entry.realtime_us]
    nanoseconds = _number(fields, b"CPU_USAGE_NSEC")
    return UnitUse(
        unit=unit,
        started_s=max(before) // 1_000_000 if before else None,
        ended_s=entry.realtime_us // 1_000_000,
        cpu_s=None if nanoseconds is None else nanoseconds / 1e9,
        memory_peak_bytes=_number(fields, b"MEMORY_PEAK"),
        read_bytes=_number(fields, b"IO_METRIC_READ_BYTES"),
        write_bytes=_number(fields, b"IO_METRIC_WRITE_BYTES"),
        boot=entry.boot,
    )


def _number(fields: dict[bytes, bytes], name: bytes) -> int | None:
    text = fields.get(name, b"")
    return int(text) if text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True)
class Mean:
    """Processor use over a whole boot: a floor, because what has not stopped yet (and the kernel) is not in it."""

    started_s: int
    ended_s: int
    cpu_percent: float


def means(history: History) -> list[Mean]:
    """One for each boot whose processors are known and that lasted a minute; oldest first."""
    used: Counter = Counter()
    for use in history.uses:
        if use.cpu_s is not None and not use.unit.endswith((".slice", ".scope")):
            used[use.boot] += use.cpu_s
    found = []
    for boot, (first, last) in sorted(history.boots.items(), key=lambda each: each[1]):
        seconds, processors = (last - first) / 1e6, history.processors.get(boot, 0)
        if processors and seconds >= 60 and boot in used:
            percent = min(100.0, 100 * used[boot] / (seconds * processors))
            found.append(Mean(first // 1_000_000, last // 1_000_000, round(percent, 3)))
    return found
