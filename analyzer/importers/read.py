"""`read_inventory`: an uploaded file's machines, parsed where a hostile file can hurt nobody."""

import json
import signal
import tempfile

from analyzer.domain.inventory import Inventory, Unreadable
from analyzer.domain.printable import printable
from analyzer.scanner import sandbox
from analyzer.scanner.sandbox import Limits

MAX_BYTES = 32 * 2**20  # 3,500 machines are 5 MiB of .xlsx
LIMITS = Limits(memory_mib=1024, cpu_s=30, wall_s=60, output_mib=64, scratch_mib=16)
_OUT_OF_MEMORY = {
    signal.SIGABRT,
    signal.SIGKILL,
    signal.SIGSEGV,
}  # how Rust and the kernel end what asks too much


def read_inventory(data: bytes, limits: Limits = LIMITS) -> Inventory:
    """Raises Unreadable(reason) for what is no inventory, broken, hostile or too large, and
    sandbox.SandboxUnavailable where this machine cannot isolate the reader."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"it is larger than {MAX_BYTES >> 20} MiB")
    if not data.strip():
        raise Unreadable("it is empty")
    with tempfile.NamedTemporaryFile(prefix="inventory-") as file:
        file.write(data)
        file.flush()
        file.seek(0)
        ended = sandbox.run(["analyzer.importers.child"], file.fileno(), limits)
    return _inventory(ended, limits)


def _inventory(ended: sandbox.Ended, limits: Limits) -> Inventory:
    if ended.exceeded:
        raise Unreadable(f"reading it was stopped: {ended.exceeded}")
    if ended.code:
        raise Unreadable(_last_words(ended, limits))
    try:
        answer = json.loads(ended.output)
        if "unreadable" in answer:
            raise Unreadable(printable(str(answer["unreadable"]), 400))
        return Inventory.model_validate(answer)
    except (ValueError, TypeError, RecursionError) as error:  # pydantic's error is a ValueError
        raise Unreadable("the reader's answer breaks the contract") from error


def _last_words(ended: sandbox.Ended, limits: Limits) -> str:
    """bubblewrap passes a signal on as 128 + n."""
    if abs(ended.code) - (128 if ended.code > 0 else 0) in _OUT_OF_MEMORY or "MemoryError" in ended.errors:
        return f"reading it needs more than {limits.memory_mib} MiB of memory"
    lines = ended.errors.strip().splitlines()
    return f"the reader failed: {printable(lines[-1], 200) if lines else f'code {ended.code}'}"
