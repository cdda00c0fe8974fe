"""However a test run ends, none of its servers stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process import ROOT, wait_until
from tests.servers.test_docker import write_stand_in
from tests.supervised import alive

SECONDS = 90.0
"""A server needs some seconds to start, more beside other tests."""


def _hear_ctrl_c() -> None:
    """A run in the background of a script ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """A run of `tests/servers/endless.py` in a session and with a scratch folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = Path(tempfile.mkdtemp(prefix="tidemark-run-"))  # not in `folder`: Elasticsearch is another user, and must get there
        self.scratch.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, test: str, workers: int, **env: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "PYTEST_"))}
        clean |= {"ENDLESS_RUN": str(self.folder), "TMPDIR": str(self.scratch), **env}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", str(workers), f"--basetemp={self.folder / 'base'}"]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, f"tests/servers/endless.py::{test}"],
                cwd=ROOT,
                env=clean,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_hear_ctrl_c,
            )

    def ready(self, name: str) -> int:
        """Wait for a test's servers; the process id of its worker."""

        def there() -> bool:
            assert self.process is not None and self.process.poll() is None, (self.folder / "output").read_text()
            return (self.folder / name).exists() and bool((self.folder / name).read_text())

        wait_until(there, SECONDS, lambda: f"test {name} is there: {(self.folder / 'output').read_text()}")
        return int((self.folder / name).read_text())

    def processes(self) -> dict[int, str]:
        """All living processes of the run, servers and supervisors too: they have its environment, or work in its folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mine = f"ENDLESS_RUN={self.folder}\0".encode() in (entry / "environ").read_bytes()
                mine = mine or str((entry / "cwd").readlink()).startswith(f"{self.scratch}/")
                if mine and alive(int(entry.name)):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def count(self, program: str) -> int:
        """How many of its processes run a program; supervisors, which name it too, don't count."""
        return sum(program in command and "supervisor.py" not in command for command in self.processes().values())

    def is_over(self) -> None:
        """Nothing of the run is left: no process, no folder of a server."""
        assert self.process is not None
        self.process.wait(SECONDS)
        wait_until(lambda: not self.processes(), SECONDS, lambda: f"these end too: {self.processes()}")
        assert not [*self.scratch.glob("tidemark-redis-*"), *self.scratch.glob("tidemark-elasticsearch-*")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    for pid in run.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(run.scratch, ignore_errors=True)


def ctrl_c(run: Run) -> None:
    """The terminal signals all processes of its group."""
    assert run.process is not None
    os.killpg(run.process.pid, signal.SIGINT)


def terminate(run: Run) -> None:
    assert run.process is not None
    run.process.terminate()


def kill(run: Run) -> None:
    assert run.process is not None
    run.process.kill()


@pytest.mark.parametrize("end", [ctrl_c, terminate, kill])
@pytest.mark.parametrize("workers", [0, 2])
def test_servers_end_with_the_run(run: Run, end: Callable[[Run], None], workers: int) -> None:
    run.start("test_servers", workers)
    run.ready("1")
    if workers:
        run.ready("2")
    assert run.count("redis-server") == (3 if workers else 2)  # one is shared
    assert run.count("apiserver") >= (2 if workers else 1)
    end(run)
    run.is_over()


def test_the_servers_of_a_killed_worker_end_and_shared_ones_stay(run: Run) -> None:
    run.start("test_servers", 2)
    worker, other = run.ready("1"), run.ready("2")
    assert worker != other and run.count("redis-server") == 3
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: run.count("redis-server") == 2, SECONDS, "the worker's own Redis ends")
    kill(run)
    run.is_over()


@pytest.mark.parametrize("end", [ctrl_c, kill])
def test_elasticsearch_ends_while_it_starts(run: Run, end: Callable[[Run], None]) -> None:
    kept = {name: value for name, value in os.environ.items() if name == "TIDEMARK_TEST_CACHE"}
    run.start("test_start_of_elasticsearch", 2, **kept)
    run.ready("1")
    wait_until(lambda: run.count("org.elasticsearch"), SECONDS, "Elasticsearch is starting")
    end(run)
    run.is_over()


@pytest.mark.parametrize("end", [ctrl_c, kill])
def test_containers_are_removed_with_the_run(run: Run, end: Callable[[Run], None]) -> None:
    commands = write_stand_in(run.scratch / "bin")
    run.start("test_container", 0, PATH=str(run.scratch / "bin"))
    run.ready("1")
    assert run.count("redis-server")
    end(run)
    run.is_over()
    assert commands.read_text().splitlines()[-1].startswith("rm --force --volumes tidemark-redis-")
