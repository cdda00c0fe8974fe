"""What the test servers need on this machine, found or installed once; what can't be had is named in one sentence."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSIONS = {"8": "8.19.21", "9": "9.5.3"}
_ASKED = os.environ.get("TIDEMARK_TEST_ELASTICSEARCH_VERSION", "8")
ELASTICSEARCH_VERSION = VERSIONS.get(_ASKED, _ASKED)
ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"


class Missing(RuntimeError):
    """Something is missing and can't be installed from here; the text says what and how."""


def cache_folder() -> Path:
    """Outside the repository. As root it is not in the home folder: Elasticsearch runs as another user, who can't read that."""
    given = os.environ.get("TIDEMARK_TEST_CACHE")
    folder = Path(given) if given else Path("/var/cache/tidemark") if os.geteuid() == 0 else Path.home() / ".cache" / "tidemark"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


@contextmanager
def install_lock(name: str) -> Iterator[None]:
    """Two test runs, or two workers of one, that start at once install one after the other. Not to be nested with the same name."""
    with (cache_folder() / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def program(name: str, package: str) -> str:
    """The path of a program; installed from its Debian package when it is not there and we may."""
    found = shutil.which(name)
    if not found and apt_install(package):
        found = shutil.which(name)
    if not found:
        raise Missing(f"the tests need {name}: install it (on Debian and Ubuntu: apt-get install {package}), or run them as root once")
    return found


def apt_install(package: str) -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with install_lock("apt.lock"):
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]):
            # An update that can't reach every list is no reason to give up: the package may be in a list that is there.
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0


def java_home(version: str) -> Path:
    """The newest JDK on this machine: newer ones are half again as fast. Elasticsearch 8 needs 17, Elasticsearch 9 needs 21."""
    needed = 17 if version.startswith("8.") else 21
    homes = [Path(os.environ["TIDEMARK_TEST_JAVA_HOME"])] if "TIDEMARK_TEST_JAVA_HOME" in os.environ else _java_homes()
    usable = [home for home in homes if _java_version(home) >= needed]
    if not usable and apt_install(f"openjdk-{needed}-jre-headless"):
        usable = [home for home in _java_homes() if _java_version(home) >= needed]
    if not usable:
        raise Missing(f"the tests need Java {needed} or newer for Elasticsearch {version}: install a JDK, or set TIDEMARK_TEST_JAVA_HOME")
    return max(usable, key=_java_version)


def _java_homes() -> list[Path]:
    homes = {path.resolve().parent.parent for path in Path("/usr/lib/jvm").glob("*/bin/java")}
    for candidate in (os.environ.get("JAVA_HOME"), os.environ.get("ES_JAVA_HOME")):
        if candidate and (Path(candidate) / "bin" / "java").exists():
            homes.add(Path(candidate).resolve())
    on_path = shutil.which("java")
    if on_path:
        homes.add(Path(on_path).resolve().parent.parent)
    return sorted(homes)


def _java_version(home: Path) -> int:
    done = subprocess.run([str(home / "bin" / "java"), "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


def elasticsearch_home(version: str = ELASTICSEARCH_VERSION) -> Path:
    """The unpacked distribution, downloaded once through Maven."""
    home = cache_folder() / f"elasticsearch-{version}"
    with install_lock(f"{home.name}.lock"):  # a lock of its own: Redis or a browser need not wait for this download
        if not (home / "bin" / "elasticsearch").exists():
            _unpack(_download(version), home)
    return home


def _download(version: str) -> Path:
    folder = cache_folder() / "downloads"
    archive = folder / f"elasticsearch-{version}.zip"
    if not archive.exists():
        artifact = ARTIFACT.format(version=version)
        maven = program("mvn", "maven")
        done = subprocess.run(
            [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
            cwd=cache_folder(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not archive.exists():
            raise Missing(f"Maven could not fetch {artifact}: {(done.stdout + done.stderr).strip()[-400:] or 'no file arrived'}")
    return archive


def _unpack(archive: Path, home: Path) -> None:
    scratch = home.with_name(home.name + ".unpacking")
    shutil.rmtree(scratch, ignore_errors=True)
    with zipfile.ZipFile(archive) as content:
        for entry in content.infolist():
            mode = entry.external_attr >> 16
            path = Path(content.extract(entry, scratch))
            path.chmod(0o755 if path.is_dir() or mode & 0o111 else 0o644)
    (unpacked,) = scratch.iterdir()
    for folder in (unpacked / "plugins", unpacked / "logs"):
        folder.mkdir(exist_ok=True)
    unpacked.rename(home)
    scratch.rmdir()
