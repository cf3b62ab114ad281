"""Parts of the suite side by side: two at a time, each line marked with its part, all of them ended together."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

WIDTH = 2  # the smallest machine has two cores
INTERRUPT_S = 60  # how long an interrupted part may take to clean up, QEMU guests included

Part = TypeVar("Part")


class Lanes:
    def __init__(self):
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen] = set()
        self._ending = False

    def run(self, parts: Iterable[Part], do: Callable[[Part], None]) -> None:
        """Each part through `do`, in a thread, in order. What one raises, or an interrupt, ends all of them."""
        with ThreadPoolExecutor(WIDTH) as pool:
            futures = [pool.submit(do, part) for part in parts]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._end()
                raise

    def relay(self, mark: str, command: list[str], environment: Mapping[str, str]) -> int:
        """The exit code of `command`; every line that it prints is printed as `mark | line` when it is complete."""
        with self._lock:
            if self._ending:
                return 1
            process = subprocess.Popen(
                command,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C comes to us and is passed on once: twice would cut its cleaning short
            )
            self._alive.add(process)
        with process.stdout as lines:
            for line in lines:
                sys.stdout.write(f"{mark} | {line}")
                sys.stdout.flush()
        code = process.wait()
        with self._lock:
            self._alive.discard(process)
        return code

    def _end(self) -> None:
        with self._lock:
            self._ending = True
            alive = list(self._alive)
        for process in alive:
            process.send_signal(signal.SIGINT)
        for process in alive:
            try:
                process.wait(INTERRUPT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
