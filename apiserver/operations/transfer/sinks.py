"""The target of an import: the store directly, or the server that runs on the data folder."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import orjson

from apiserver.bll.events.rewinding import Rewinding
from apiserver.bll.registry.directory import Owner, TaskDirectory
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.records import Records
from apiserver.bll.runs.catalog import RunCatalog, UnknownRun
from apiserver.bll.runs.run_lines import RefusedLine, RunLines
from apiserver.bll.runs.writer import RunWriter
from apiserver.common.words import many
from apiserver.credentials import Credentials
from apiserver.engine import Engine, open_engine
from apiserver.errors import StartupError, TidemarkError
from apiserver.files.problems import FileProblem
from apiserver.files.storage import open_storage
from apiserver.operations.busy import retried
from apiserver.operations.http_calls import NoAnswer, send
from apiserver.serving.serve import address_of, claim_data_folder, running_server
from apiserver.settings import Settings
from apiserver.stores.errors import StoreBusy

T = TypeVar("T")


class RunRefused(Exception):
    """The run can't be written; the message has the reason."""


class Stored(NamedTuple):
    """The result of `Sink.add`: number of stored lines, problems by number of line (from 1), and number of skipped lines of unknown types and of lists
    and objects in rows."""

    added: int
    refused: list[RefusedLine]
    skipped: int


class Sink(Protocol):
    """Stores runs. All methods raise RunRefused."""

    def add(self, run: str, lines: Sequence[bytes]) -> Stored:
        """Store lines of an events.jsonl."""

    def describe(self, run: str, facts: Mapping[str, Any]) -> None:
        """Store the contents of meta.json, status.json and summary.json."""

    def log_lines(self, run: str) -> int:
        """The number of imported lines of the run's log; 0 for an unknown run."""

    def media(self, run: str, path: str, file: Path | bytes) -> str:
        """Store a media file, given by path or content; returns its URL."""

    def clear(self, run: str) -> None:
        """Delete all events of a run; does nothing for an unknown run."""

    def rewind(self, run: str, step: int) -> None:
        """Delete the run's points, images and plots of this step and later; does nothing for an unknown run."""

    def close(self) -> None: ...


def open_sink(settings: Settings, company: str | None = None) -> Sink:
    """A sink for the server that runs on the data folder, or, if none does, for the store, with the folder locked."""
    address = running_server(settings.data)
    if address is not None:
        return ServerSink(settings, address, company)
    return StoreSink(settings, company)


def company_ids(settings: Settings, name: str | None) -> tuple[str, str]:
    """The id of a company (by name or id; None: the default one) and of its first user. Raises StartupError for an unknown company."""
    wanted = name or settings.auth.default_company
    for company in settings.auth.companies:
        if wanted in (company.name, company.id):
            return company.id, company.users[0].id if company.users else settings.auth.default_user
    known = ", ".join(company.name for company in settings.auth.companies)
    raise StartupError(f'no company "{wanted}" in auth.companies; known: {known}')


def login(settings: Settings) -> dict[str, str]:
    """The Authorization header for the running server, as its default user."""
    credentials = Credentials(settings)
    pair = f"{credentials.access_key}:{credentials.secret_key}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def file_name(run: str, path: str) -> str:
    """The name of a run's media file on the file server."""
    return f"runs/{run}/{path}"


class StoreSink:
    """Writes into the store of this process."""

    def __init__(self, settings: Settings, company: str | None) -> None:
        self._company, self._user = company_ids(settings, company)
        self._lock = claim_data_folder(settings)
        self._engine: Engine = open_engine(settings)
        records = Records(self._engine.registry)
        self._catalog = RunCatalog(records, TaskDirectory(records.registry), Projects(records), register_unknown=True)
        self._writer = RunWriter(self._engine.events, self._engine.bus)
        self._rewinding = Rewinding(self._engine.events, TaskDirectory(records.registry))
        self._storage = open_storage(settings)
        self._files = settings.files.public_url or address_of(settings.server.host, settings.server.port) + "/files"

    def add(self, run: str, lines: Sequence[bytes]) -> Stored:
        batch = RunLines(run, time.time_ns() // 1_000_000)
        for number, line in enumerate(lines, 1):
            batch.add(number, line)
        refusals = self._retried(lambda: self._writer.store(self._writable(run), batch)) if batch.added else []
        refused = _all_of(batch.errors, batch.refused) + batch.refuse(refusals)
        return Stored(batch.added, refused, batch.skipped)

    def describe(self, run: str, facts: Mapping[str, Any]) -> None:
        self._retried(lambda: _accepted(run, lambda: self._catalog.describe(self._company, self._user, run, facts)))

    def log_lines(self, run: str) -> int:
        try:
            owner = self._catalog.find(self._company, run)
        except UnknownRun:
            return 0
        return int(self._retried(lambda: self._writer.last_ordinal(owner)))

    def media(self, run: str, path: str, file: Path | bytes) -> str:
        incoming = self._storage.begin()
        try:
            with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as source:
                while block := source.read(1 << 20):
                    incoming.write(block)
            incoming.commit(self._company, file_name(run, path))
        except FileProblem as error:
            raise RunRefused(str(error)) from None
        finally:
            incoming.abort()
        return f"{self._files}/{quote(file_name(run, path))}"

    def clear(self, run: str) -> None:
        with suppress(UnknownRun):
            owner = self._catalog.find(self._company, run)
            if owner.company == self._company:
                self._retried(lambda: self._engine.events.delete(owner.company, owner.id))

    def rewind(self, run: str, step: int) -> None:
        with suppress(UnknownRun):
            owner = self._catalog.find(self._company, run)
            if owner.company == self._company:
                self._retried(lambda: self._rewinding.rewind(owner, max(step - 1, -1)))

    def close(self) -> None:
        self._engine.close()
        self._lock.close()

    def _writable(self, run: str) -> Owner:
        return _accepted(run, lambda: self._catalog.writable(self._company, self._user, run))

    def _retried(self, work: Any) -> Any:
        try:
            return retried(work, 2.0)
        except StoreBusy as error:
            raise RunRefused(str(error)) from None


def _accepted(run: str, work: Callable[[], T]) -> T:
    """The result of `work`. Turns errors of the run into RunRefused; StoreBusy passes through."""
    try:
        return work()
    except UnknownRun:
        raise RunRefused(f'the run "{run[:100]}" can\'t be written: its id is not valid, or it was deleted within the last hour') from None
    except TidemarkError as error:
        raise RunRefused(f'the run "{run[:100]}" can\'t be written: {error}') from None


class ServerSink:
    """Writes through the runs API of a running server, as its default user."""

    def __init__(self, settings: Settings, address: str, company: str | None) -> None:
        self._address = address
        if company is not None and company not in _names(settings):
            raise StartupError(
                f'a server at {address} runs on the data folder; through it only the company "{settings.auth.default_company}" can be written'
            )
        self._headers = login(settings)
        self._files = settings.files.public_url or f"{address}/files"

    def add(self, run: str, lines: Sequence[bytes]) -> Stored:
        answer = self._call("POST", f"{self._run(run)}/events?error_lines=1000000", b"\n".join(lines), good=(200, 400))
        if "error_lines" not in answer:
            raise RunRefused(str(answer.get("detail")))
        shown = [RefusedLine(problem["line"], problem["reason"]) for problem in answer["error_lines"]]
        return Stored(answer["added"], _all_of(shown, answer["errors"]), answer.get("passed_over", 0))

    def describe(self, run: str, facts: Mapping[str, Any]) -> None:
        self._call("PUT", f"{self._run(run)}/meta", orjson.dumps(facts))

    def log_lines(self, run: str) -> int:
        return int(self._call("GET", f"{self._run(run)}/imported", good=(200, 404)).get("log_lines", 0))

    def clear(self, run: str) -> None:
        url = f"{self._address}/events.delete_for_task"
        self._call("POST", url, orjson.dumps({"task": run}), good=(200, 400))  # 400: unknown run

    def rewind(self, run: str, step: int) -> None:
        body = {"task": run, "iteration": max(step - 1, -1), "allow_locked": True}
        self._call("POST", f"{self._address}/v2.34/events.rewind", orjson.dumps(body), good=(200, 400))  # 400: unknown run

    def media(self, run: str, path: str, file: Path | bytes) -> str:
        name, boundary = file_name(run, path), uuid.uuid4().hex
        quoted = name.replace("\\", "\\\\").replace('"', "%22")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"; filename="{quoted}"\r\n\r\n'
        body = head.encode() + (file if isinstance(file, bytes) else file.read_bytes()) + f"\r\n--{boundary}--\r\n".encode()
        self._call("POST", f"{self._address}/files/", body, content_type=f"multipart/form-data; boundary={boundary}", parse=False)
        return f"{self._files}/{quote(name)}"

    def close(self) -> None:
        """Nothing to close."""

    def _run(self, run: str) -> str:
        return f"{self._address}/api/runs/{quote(run, safe='')}"

    def _call(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        good: tuple[int, ...] = (200,),
        parse: bool = True,
    ) -> dict[str, Any]:
        """The JSON answer. Raises RunRefused."""
        try:
            found = send(url, body, {**self._headers, "Content-Type": content_type}, method=method)
        except NoAnswer as error:
            raise RunRefused(f"the server at {self._address} can't be reached: {error}") from None
        if found.status == 200 and not parse:
            return {}
        try:
            answer = dict(json.loads(found.body))
        except (ValueError, TypeError, RecursionError):
            answer = {"detail": found.beginning}
            if found.status == 200:
                raise RunRefused(f"the answer of the server at {self._address} is not JSON: {found.beginning}") from None
        if found.status not in good:
            raise RunRefused(f"{answer.get('detail')} ({found.status})")
        return answer


def _all_of(shown: list[RefusedLine], count: int) -> list[RefusedLine]:
    """The listed problems, and a last one with the number of those that are not listed."""
    return shown if len(shown) >= count else [*shown, RefusedLine(0, many(count - len(shown), "more problem"))]


def _names(settings: Settings) -> tuple[str, ...]:
    default = settings.auth.default_company
    return (default, *(company.id for company in settings.auth.companies if company.name == default))
