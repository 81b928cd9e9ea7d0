"""Fair timing for the benchmarks: peers in turns, one thread, both allocator settings, peak memory.

A script beside this file imports it as its neighbours import each other and ends in

    from measure import in_turns, print_table, under_both_allocators

    def main() -> None:
        times = in_turns({"ours": lambda: fit(batch), "peer": lambda: peer_fit(batch)})
        ratio = f"{times.ratio('peer', 'ours'):.1f}x"
        print_table("Fits", ["", "ms", "faster"], [["ours", times.milliseconds("ours"), ratio]])

    if __name__ == "__main__":
        under_both_allocators(main)

``under_both_allocators`` runs the script once with glibc's default allocator, which hands large
arrays back to the system and pays for their pages again at the next call, and once with an
allocator that keeps them. Both run in processes of their own with a single thread, which can't be
set from inside once torch is imported. Times are CPU times, so that another process on the same
machine costs little; ratios are medians of the ratios within a round, so that what slows a round
down slows all peers of that round. Memory is Linux only: it reads and resets VmHWM in ``/proc``.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

ALLOCATORS = {
    "glibc's default": {},
    "arrays kept": {
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
    },
}
"""Environment of each allocator setting, by the name that the tables give it."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_SETTING = "VHLIB_BENCHMARK_ALLOCATOR"  # tells a child process what its environment is called
_MIB = 2**20

Call = Callable[[], object]


def under_both_allocators(main: Callable[[], None]) -> None:
    """Run this script's ``main`` in a fresh process per allocator setting, one thread each.

    Arguments of the command line are passed on. The script exits with the first failure's status.
    """
    if _SETTING in os.environ:
        torch.set_num_threads(1)
        print(f"{machine()}, allocator: {os.environ[_SETTING]}\n", flush=True)
        return main()
    clean = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    for name, setting in ALLOCATORS.items():
        environment = clean | ONE_THREAD | setting | {_SETTING: name}
        command = [sys.executable, *sys.argv]
        status = subprocess.run(command, env=environment, check=False).returncode
        if status:
            sys.exit(status)


def machine() -> str:
    """The day, and what a reader must know of the machine; no names, no paths."""
    threads = torch.get_num_threads()
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{threads} thread{'s' if threads > 1 else ''}"
    )


@dataclass(frozen=True)
class Times:
    """CPU seconds of one call, by peer: one sample a round, rounds in the same order."""

    samples: Mapping[str, Sequence[float]]

    def milliseconds(self, peer: str) -> float:
        """Median."""
        return 1e3 * statistics.median(self.samples[peer])

    def ratio(self, slower: str, faster: str) -> float:
        """How many times faster: the median over rounds of the ratio within the round."""
        pairs = zip(self.samples[slower], self.samples[faster], strict=True)
        return statistics.median(slow / fast for slow, fast in pairs)


def in_turns(calls: Mapping[str, Call], rounds: int = 15, seconds: float = 0.05) -> Times:
    """Time calls in turns, each repeated within a turn until it fills about ``seconds`` of CPU.

    Every call runs at least once before its first turn; a call that is longer than a turn runs once
    a turn, so choose ``rounds`` by the slowest. The collector of cycles is off within a turn.
    """
    repeats = {name: max(1, round(seconds / _warm_seconds(call))) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(_cpu_seconds(call, repeats[name]))
    return Times(samples)


def _warm_seconds(call: Call) -> float:
    """Of one call after the first; a first call of more than a second is taken as it is."""
    first = _cpu_seconds(call, 1)
    return first if first > 1 else min(_cpu_seconds(call, 3), first)


def _cpu_seconds(call: Call, repeats: int) -> float:
    with _collector_off():
        start = time.process_time()
        for _ in range(repeats):
            call()
        return (time.process_time() - start) / repeats


@contextmanager
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def peak_memory(prepare: Callable[..., Call], *arguments: object) -> float:
    """MiB by which resident memory rises at its highest while a call runs, in a fresh process.

    Args:
        prepare: a function at the top of a module; it builds what is needed, runs the call on
            something small so that libraries are loaded, and returns the call to be measured.
        arguments: of ``prepare``; they must pickle.
    """
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        return pool.apply(_peak_growth, (prepare, arguments))


def _peak_growth(prepare: Callable[..., Call], arguments: tuple) -> float:
    call = prepare(*arguments)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # so that pages freed by the preparation count anew
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts at VmRSS
    before = _status_bytes("VmRSS")
    call()
    return (_status_bytes("VmHWM") - before) / _MIB


def _status_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", status).group(1))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A title and aligned columns, the first to the left; write numbers as they shall be read."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(title)
    for first, *others in cells:
        right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *right]).rstrip())
    print(flush=True)
