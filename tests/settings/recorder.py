"""`tidemark` that notes which settings are read: `python recorder.py FILE serve ...`. Every line of FILE is `section.key`, once a process.

Reading while the settings are made and checked does not count, only use does.
"""

from __future__ import annotations

import sys

FILE = sys.argv.pop(1)

if "serve" in sys.argv[1:2]:  # before anything else is imported, as in apiserver/__main__.py
    import gevent.monkey

    gevent.monkey.patch_all()

import dataclasses  # noqa: E402
import inspect  # noqa: E402
import os  # noqa: E402
from typing import Any, get_type_hints  # noqa: E402

from apiserver import settings_types  # noqa: E402

_noted: set[tuple[int, str]] = set()


def _reader() -> str:
    """The file of the code that reads: the first frame outside of this file and of the properties in settings_types."""
    frame = inspect.currentframe()
    assert frame is not None
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, settings_types.__file__):
        frame = frame.f_back
    return frame.f_code.co_filename


def record(section: str, kind: type) -> None:
    """Note every reading of this section's keys."""
    keys = {field.name for field in dataclasses.fields(kind)}

    def read(self: Any, key: str) -> Any:
        if (
            key in keys
            and (os.getpid(), f"{section}.{key}") not in _noted
            and not _reader().endswith(("apiserver/settings.py", "<string>"))
        ):
            _noted.add((os.getpid(), f"{section}.{key}"))
            line = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(line, f"{section}.{key}\n".encode())
            os.close(line)
        return object.__getattribute__(self, key)

    kind.__getattribute__ = read  # type: ignore[assignment,method-assign]


for name, kind in get_type_hints(settings_types.Settings).items():
    record(name, kind)

from apiserver.__main__ import main  # noqa: E402

main(prog_name="tidemark")
