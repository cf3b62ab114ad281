"""What a guest's serial console tells while one waits for it to answer."""

from dataclasses import dataclass

READ = 16384  # bytes of its end that are looked at
SILENT_S = 60.0  # a guest that lives says something within it, also emulated on a busy machine
WORDS = 4096
ENDS = (
    "Kernel panic - not syncing",
    "You are in emergency mode",  # systemd
    "You are in rescue mode",
    "Dropping to a shell!",  # initramfs-tools: the root file system was not found
    "Entering emergency mode",  # dracut
    "Entering rescue mode",  # GRUB
)


@dataclass
class BootConsole:
    """The console of one boot, looked at again and again.

    `agent_failed`: what begins the guest's own line where it could not install the agent that was brought.
    """

    agent_failed: str
    _text: str = ""
    _since: float | None = None

    def verdict(self, text: str, now: float) -> str:
        """Why waiting on would be in vain, "" while there is hope. `now`: seconds of a clock that only goes forward.

        A line that ends a boot counts when nothing followed for SILENT_S: it may be of the boot before, and a kernel
        may be told to start again after a panic.
        """
        lines = text.splitlines()
        if failed := next((line for line in lines if self.agent_failed in line), ""):
            return failed[failed.index(self.agent_failed) :].strip()
        if self._since is None or text != self._text:
            self._text, self._since = text, now
        if now - self._since < SILENT_S:
            return ""
        end = next((line.strip() for line in reversed(lines) if any(words in line for words in ENDS)), "")
        return f"the guest does not boot: {end}; its console ends: {last_words(text)}" if end else ""


def last_words(text: str) -> str:
    """The last four lines that are not empty."""
    lines = [line.strip() for line in text[-WORDS:].splitlines() if line.strip()]
    return " / ".join(lines[-4:]) or "(nothing)"
