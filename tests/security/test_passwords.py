"""Guessing passwords: it tells nothing, costs others nothing, and locks nobody out. On both engines, because guesses are counted in the state."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gevent
import pytest
from argon2 import PasswordHasher

from apiserver.bll.registry import passwords
from apiserver.bll.registry.passwords import Passwords
from apiserver.errors import TooManyRequests
from apiserver.stores.memory import MemoryState
from tests.client import Answer
from tests.conftest import dismiss, own_store
from tests.process import ROOT, Server

IMPATIENT = str(Path(__file__).with_name("impatient.py"))
HASHER = PasswordHasher(time_cost=1)
"""64 MB and some 30 ms."""
CONFIG = """
auth.companies {{
  one {{ id = "company-one", users {{ ann {{ name = "Ann", password = "{ann}" }}, default {{ name = "Default" }} }} }}
  two {{ id = "company-two", users {{ bob {{ name = "Bob", password = "{bob}" }} }} }}
}}
auth.default_company = "one"
"""


@pytest.fixture(scope="module")
def server(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Delays are 20 ms instead of up to 4 s, and 8 guesses instead of 20 are too many. The proxy 127.0.0.1 gives clients their addresses."""
    folder = tmp_path_factory.mktemp("passwords")
    (folder / "auth.conf").write_text(CONFIG.format(ann=HASHER.hash("swordfish"), bob=HASHER.hash("tr0ub4dor")))
    env = {**own_store(engine_env), "TIDEMARK_CONFIG": str(folder / "auth.conf"), "TIDEMARK_AUTH": "required"}
    started = Server(folder / "server", {**env, "TIDEMARK__server__proxies": "127.0.0.1"}, program=[sys.executable, IMPATIENT])
    started.env["PYTHONPATH"] = str(ROOT)
    yield started.start()
    dismiss(started)


def login(server: Server, name: str, password: str, address: str) -> Answer:
    return server.client(name, password).raw("/auth.login", {}, headers={"X-Forwarded-For": address})


def test_a_name_that_does_not_exist_takes_as_long_as_one_that_does(server: Server) -> None:
    """725 ms against 10 ms before."""
    login(server, "Ann", "wrong", "10.0.0.1")  # loads argon2

    def seconds(name: str) -> float:
        times = []
        for number in range(4):
            started = time.monotonic()
            assert login(server, name, "wrong", f"10.0.1.{number}").codes == (401, 22)
            times.append(time.monotonic() - started)
        return statistics.median(times)

    known, unknown = seconds("Ann"), seconds("Nobody")
    assert known / 4 < unknown < known * 4


def test_an_unknown_access_key_costs_no_password_check(server: Server) -> None:
    before = server.cpu_seconds()
    for number in range(30):
        assert login(server, f"KEY{number:017}", "wrong", "10.0.2.1").codes == (401, 22)
    assert server.cpu_seconds() - before < 1.0


def test_guesses_from_elsewhere_lock_nobody_out(server: Server) -> None:
    codes = [login(server, "Ann", f"guess {number}", "10.0.3.1").codes for number in range(10)]
    assert codes[0] == (401, 22) and codes[-1] == (429, 0)
    refused = login(server, "Ann", "swordfish", "10.0.3.1")
    assert refused.codes == (429, 0) and 1 <= int(refused.headers["retry-after"]) <= 61
    assert login(server, "Ann", "swordfish", "10.0.3.2").codes == (200, 0)


def test_the_right_password_from_a_known_address_goes_through(server: Server) -> None:
    assert login(server, "Bob", "tr0ub4dor", "10.0.4.1").codes == (200, 0)
    assert {login(server, "Bob", f"guess {number}", "10.0.4.1").codes for number in range(10)} == {(401, 22)}
    assert login(server, "Bob", "tr0ub4dor", "10.0.4.1").codes == (200, 0)


def test_guesses_that_are_delayed_take_no_place_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight addresses with eight guesses each made the owner's login fail with 429 for seconds."""
    monkeypatch.setattr(passwords, "FREE", 1)
    monkeypatch.setattr(passwords, "SHORTEST_DELAY", 3600.0)
    monkeypatch.setattr(passwords, "LONGEST_DELAY", 3600.0)
    quick = PasswordHasher(time_cost=1, memory_cost=64).hash("swordfish")
    checker = Passwords(MemoryState())
    checker.configure([quick])
    assert checker.verify("ann", quick, "swordfish", "10.0.8.1")
    for number in range(passwords.ALL_CHECKING // passwords.WAITING + 1):
        assert not checker.verify("ann", quick, "guess", f"10.0.9.{number}")
    guesses = [
        gevent.spawn(checker.verify, "ann", quick, "guess", f"10.0.9.{number}")
        for number in range(passwords.ALL_CHECKING // passwords.WAITING + 1)
        for _ in range(passwords.WAITING)
    ]
    gevent.sleep(0)  # now they wait
    try:
        assert checker.verify("ann", quick, "swordfish", "10.0.8.1")
        assert checker.verify("ann", quick, "swordfish", "10.0.8.2"), "nor does an address need to be known"
        with pytest.raises(TooManyRequests):  # of one address no more wait
            checker.verify("bob", None, "guess", "10.0.9.0")
    finally:
        gevent.killall(guesses)


def test_where_all_places_are_taken_a_known_address_still_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=64).hash("swordfish")
    checker = Passwords(MemoryState())
    checker.configure([quick])
    assert checker.verify("ann", quick, "swordfish", "10.0.8.1")
    monkeypatch.setattr(passwords, "ALL_CHECKING", 0)
    assert checker.verify("ann", quick, "swordfish", "10.0.8.1")
    for name, address in (("ann", "10.0.8.2"), ("bob", "10.0.8.1")):
        with pytest.raises(TooManyRequests):
            checker.verify(name, quick, "swordfish", address)


def test_many_checks_at_once_wait_for_each_other_and_stop_nobody(server: Server) -> None:
    """Twelve took 727 MB and stopped pings for 1.1 s, as long as all of them took: while a ping waits, few checks are done."""
    login(server, "Ann", "wrong", "10.0.5.0")
    before = server.resident_bytes()
    meanwhile: list[int] = []
    with ThreadPoolExecutor(24) as pool:
        checks = [pool.submit(login, server, "Ann", "wrong", f"10.0.5.{number}") for number in range(1, 25)]
        biggest = before
        while (done := sum(check.done() for check in checks)) < len(checks):
            assert server.client().send("GET", "/debug.ping").status == 200
            meanwhile.append(sum(check.done() for check in checks) - done)
            biggest = max(biggest, server.resident_bytes())
    assert {check.result().codes for check in checks} == {(401, 22)}
    assert biggest - before < 350_000_000
    # The machine may stop one of the pings for reasons of its own.
    assert len(meanwhile) > 4 and sorted(meanwhile)[-2] < len(checks) / 3, meanwhile


def test_the_id_of_a_user_works_as_a_name(server: Server) -> None:
    token = login(server, "bob", "tr0ub4dor", "10.0.6.1").data["token"]
    from tests.client import Client

    assert Client(server.url, token=token).call("users.get_current_user")["user"]["name"] == "Bob"


def test_one_login_name_in_two_companies_is_refused_at_start(tmp_path: Path) -> None:
    same = CONFIG.format(ann="x", bob="y").replace('"Bob"', '"Ann"')
    (tmp_path / "auth.conf").write_text(same)
    command = [sys.executable, "-m", "apiserver", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    env = {"TIDEMARK_CONFIG": str(tmp_path / "auth.conf"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and "login name" in ended.stderr and "Ann" in ended.stderr


def test_a_password_in_plain_text_is_checked_as_slowly_as_a_hash() -> None:
    checker = Passwords(MemoryState())
    checker.configure(["swordfish"])
    assert checker.verify("ann", "swordfish", "swordfish", "10.0.7.1") and not checker.verify("ann", "swordfish", "wrong", "10.0.7.1")
    before = time.process_time()
    for _ in range(3):
        assert checker.verify("ann", "swordfish", "swordfish", "10.0.7.1")
    assert time.process_time() - before > 0.02  # microseconds when texts are compared
    assert not checker.verify("bob", None, "swordfish", "10.0.7.1")
