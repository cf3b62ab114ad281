"""One progress of several things done one after the other, each counted by its bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shares:
    """`progress` is told bytes (done, of all); `sizes` are those of the things, in their order."""

    progress: Progress
    sizes: Sequence[int]

    def part(self, number: int) -> Progress:
        """For the thing of that number, whatever unit it counts in itself."""
        before, size, total = sum(self.sizes[:number]), self.sizes[number], sum(self.sizes)

        def report(done: int, of: int) -> None:
            self.progress(before + (size * done // of if of else 0), total)

        return report
