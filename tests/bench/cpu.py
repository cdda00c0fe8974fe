"""CPU time of all processes that take part in a measurement, and two sides that do the same work in turns.

The same work takes the same CPU seconds within some percent even while other programs run, when throughput varies by a factor of two. So a figure is the
ratio of two neighbouring turns; its spread over the rounds tells how far to trust it. Time stolen by the kernel or the hypervisor is not counted; the
effect of other programs on the CPU caches is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Report, median, shown

Reading = dict[str, float]
"""CPU seconds by name of a process."""


def process_seconds(pid: int) -> float:
    """User and system time of a process with all its threads so far, in seconds, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


class Processes:
    """The measured processes: this one as "client", and others by name."""

    def __init__(self, others: dict[str, Callable[[], Iterable[int]]]) -> None:
        """`others`: functions that return the present process ids, by name."""
        self._others = others

    def read(self) -> Reading:
        found = {"client": time.process_time()}
        for name, pids in self._others.items():
            found[name] = sum(process_seconds(pid) for pid in pids())
        return found


def idle_seconds() -> float:
    """Idle time of all cores together so far, in seconds."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Turn:
    """A turn of one side: CPU µs per unit by process, units/s, and the idle share of the cores."""

    cpu: Reading
    rate: float
    idle: float

    @property
    def whole(self) -> float:
        return sum(self.cpu.values())


@dataclass
class Turns:
    """The turns of two sides, paired by round."""

    theirs: list[Turn] = field(default_factory=list)
    ours: list[Turn] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """CPU of all processes, ours divided by theirs, for each round."""
        return [ours.whole / theirs.whole for theirs, ours in zip(self.theirs, self.ours, strict=True)]


Work = Callable[[], int]
"""Does some work; returns its number of units."""


def turn_of(processes: Processes, work: Work, settle: Callable[[], None] = lambda: None) -> Turn:
    """Measure one turn. `settle` finishes deferred work, such as merges: once before the turn, and once at its end, where it counts for the CPU but not for
    the rate."""
    settle()
    before, idle, begun = processes.read(), idle_seconds(), time.perf_counter()
    units = work()
    seconds = time.perf_counter() - begun
    idle = idle_seconds() - idle
    settle()
    after = processes.read()
    return _turn([(before, after)], units, seconds, idle)


def turn_of_calls(processes: Processes, call: Callable[[], object], times: int, before: Callable[[], object]) -> Turn:
    """Measure `times` calls as one turn; `before` runs ahead of each and is not counted."""
    readings: list[tuple[Reading, Reading]] = []
    seconds = idle = 0.0
    for _ in range(times):
        before()
        read, was_idle, begun = processes.read(), idle_seconds(), time.perf_counter()
        call()
        seconds += time.perf_counter() - begun
        idle += idle_seconds() - was_idle
        readings.append((read, processes.read()))
    return _turn(readings, times, seconds, idle)


def _turn(readings: list[tuple[Reading, Reading]], units: int, seconds: float, idle: float) -> Turn:
    cpu = {name: sum(after[name] - before[name] for before, after in readings) / units * 1e6 for name in readings[0][0]}
    return Turn(cpu, units / seconds, idle / seconds / (os.cpu_count() or 1))


def in_turns(theirs: Callable[[], Turn], ours: Callable[[], Turn], rounds: int) -> Turns:
    """Measure both sides once a round, in alternating order, because the second side runs on a warmer machine. A first round is dropped."""
    found = Turns()
    for number in range(rounds + 1):
        sides = [(theirs, found.theirs), (ours, found.ours)]
        for take, turns in sides if number % 2 else reversed(sides):
            turn = take()
            if number:
                turns.append(turn)
    return found


def parts(turns: list[Turn]) -> str:
    """The median CPU per unit of each process, as text."""
    return ", ".join(f"{name} {shown(median([turn.cpu[name] for turn in turns]))}" for name in turns[0].cpu if turns[0].cpu[name])


def add_turns(report: Report, name: str, unit: str, turns: Turns, *, most: float | None = None, server_most: float | None = None) -> None:
    """Report the turns: `most` is the target for the ratio of all processes, `server_most` for the server's µs per unit."""
    per = f"µs/{unit}"
    for side, of_side in (("", turns.ours), ("  bare: ", turns.theirs)):
        rate, idle = median([turn.rate for turn in of_side]), median([turn.idle for turn in of_side])
        note = f"{parts(of_side)}; {rate:,.0f}/s, cores {idle:.0%} idle"
        report.spread(f"{side}{name}: CPU of all", [turn.whole for turn in of_side], per, note=note)
    report.spread(f"{name}: ratio, all processes", turns.ratios, "", most=most)
    report.spread(f"{name}: the server's CPU", [turn.cpu["server"] for turn in turns.ours], per, most=server_most)
