"""Several hosts on one machine: network namespaces on a bridge, made with iproute2 and removed at the end. Needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

SUBNET = "10.213.{}"


@dataclass
class Host:
    """A namespace with its own address; `before`: the prefix of commands that run in it."""

    name: str
    address: str

    @property
    def before(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]


def ip(*words: str) -> None:
    """Run `ip`. Raises RuntimeError with its message."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip() or done.returncode}")


@contextlib.contextmanager
def network(count: int) -> Iterator[tuple[str, list[Host]]]:
    """`count` hosts on a bridge of their own, and the address at which they reach this machine."""
    unique = os.getpid()
    bridge, net = f"tm{unique}", SUBNET.format(unique % 250)
    hosts = [Host(f"tidemark-{unique}-{number}", f"{net}.{10 + number}") for number in range(count)]
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{net}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, host in enumerate(hosts):
            outer, inner = f"tm{unique}v{number}", f"tm{unique}w{number}"
            ip("netns", "add", host.name)
            ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            ip("link", "set", outer, "master", bridge, "up")
            ip("link", "set", inner, "netns", host.name)
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", inner)
            ip("-n", host.name, "link", "set", inner, "up")
            ip("-n", host.name, "link", "set", "lo", "up")
        yield f"{net}.1", hosts
    finally:
        for host in hosts:  # deletes both ends of its veth pair too
            with contextlib.suppress(RuntimeError):
                ip("netns", "del", host.name)
        with contextlib.suppress(RuntimeError):
            ip("link", "del", bridge)
