"""The resources of a process, as counted by Linux, and an orderly end of this process."""

import os
import signal
import sys
from pathlib import Path


def end_in_order() -> None:
    """Make SIGTERM raise SystemExit in this process, so that its clean-up code runs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def processor_s(pid: int) -> float:
    """Processor time of a process since its start, in seconds, rounded to the kernel's ticks (mostly 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended_children_s(pid: int) -> float:
    """Processor time of a process's ended children, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def share_of_memory_mib(pid: int) -> float:
    """Proportional set size in MiB. Each shared page is divided among the processes that share it."""
    (line,) = (each for each in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if each.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
