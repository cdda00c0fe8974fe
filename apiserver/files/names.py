"""Names of files: what is allowed, and where it lies on disk.

A name is what ClearML's SDK sends and asks for: `/project/task name.<task id>/metrics/loss/x/loss_x_00000000.jpeg`, percent-decoded once.
It is stored as `<company>/<task id>/<name>` (or `<company>/shared/<name>` when no task id is in it), so that the files of a task go with
one folder, whatever its project was called when they came.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

from apiserver.files.problems import BadName

SHARED = "shared"
"""The folder of files that belong to no task."""
MAX_NAME = 3000
"""Bytes of a whole name: what a path on disk may have, less the folders in front of it."""
_MAX_COMPONENT = 200

_TASK_ID = re.compile(r"\.([0-9a-f]{32})$")
_SHORTENED = re.compile(r"~[0-9a-f]{32}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# urllib3 writes these characters of a multipart file name as percent codes, and leaves real percent signs alone. The name that comes back
# in a URL has them decoded: both must find the same file.
_FOLDED = {"\r": "%0D", "\n": "%0A"}


def place(company: str, name: str) -> list[str]:
    """The path of a file below the root folder, as names of folders and of the file itself.

    Raises BadName for anything that could lead elsewhere: dot segments, also behind (repeated) percent codes or backslashes, control
    characters, text that is not UTF-8. Two different names never get the same place, apart from the folding of line ends.
    """
    segments = split(name)
    owner = next((found[1] for segment in segments if (found := _TASK_ID.search(segment))), SHARED)
    return [component(company), owner, *map(component, segments)]


def spellings(name: str) -> list[str]:
    """The names under which a file that a client calls `name` may be stored, the likeliest first.

    urllib3 sends the name `a"b` as `a%22b`, which is also how it sends `a%22b`: the file has that name then. Other clients send the quote.
    """
    return [name, name.replace('"', "%22")] if '"' in name else [name]


def task_folder(company: str, task: str) -> list[str] | None:
    """The folder with all files of a task; None when the id is none that file names carry."""
    return [component(company), task] if re.fullmatch("[0-9a-f]{32}", task) else None


def split(name: str) -> list[str]:
    """The checked segments of a name; empty ones are left out, as in a path."""
    for character, code in _FOLDED.items():
        name = name.replace(character, code)
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadName("the file name is not valid UTF-8") from None
    if size > MAX_NAME:
        raise BadName(f"the file name has {size} bytes; at most {MAX_NAME} are allowed")
    segments = [segment for segment in name.split("/") if segment]
    if not segments:
        raise BadName("the file name is empty; it must be a path such as /project/task/image.png")
    for segment in segments:
        if _CONTROL.search(segment) or "\x00" in _decoded(segment):
            raise BadName("the file name has a control character in it")
        if any(part in (".", "..") for part in re.split(r"[/\\]", _decoded(segment))):
            raise BadName('the file name has a "." or ".." segment in it, or one behind percent codes')
    return segments


_CODE = re.compile("%([0-9A-Fa-f]{2})")
_ALWAYS_CODED = frozenset(b' "<>\\^`{|}[]')
"""What every client writes as a code in a URL."""
_MAX_ESCAPED = 12
"""Leading segments that may hold codes: folders of the file server's address, levels of the project, the task."""


def other_readings(path: str) -> list[str]:
    """What else a path, as it was sent, can stand for: names that hold percent codes themselves (`offline %C3%BC`).

    Clients write such a name into a URL without escaping its percent signs, so decoding the path once makes another name of it. Codes of ASCII and of other
    characters are left alone in turn, and together; then in the leading segments only (the SDK escapes project and task, but not the names behind them).
    """
    found = [_partly_decoded(path, ascii=ascii, others=others) for ascii, others in ((True, False), (False, True), (False, False))]
    segments = path.split("/")
    for end in range(1, min(len(segments), _MAX_ESCAPED + 1)):
        escaped = [_partly_decoded(segment, ascii=True, others=False) for segment in segments[:end]]
        found.append("/".join([*escaped, *(_partly_decoded(segment, ascii=True, others=True) for segment in segments[end:])]))
    return list(dict.fromkeys([*found, path]))


def _partly_decoded(path: str, *, ascii: bool, others: bool) -> str:
    def decoded(code: re.Match[str]) -> str:
        byte = int(code[1], 16)
        wanted = byte in _ALWAYS_CODED or (ascii if byte < 128 else others)
        return chr(byte) if wanted else code[0]

    # As bytes in latin-1, so that codes of one character come together.
    return _CODE.sub(decoded, path.encode().decode("latin-1")).encode("latin-1").decode("utf-8", "replace")


def _decoded(segment: str) -> str:
    """The segment as a careless reader could see it, after as many rounds of percent-decoding as change something."""
    for _ in range(8):
        further = unquote(segment)
        if further == segment:
            return segment
        segment = further
    raise BadName("the file name is percent-encoded over and over")


def component(segment: str) -> str:
    """A segment as a name on disk: file systems end at 255 bytes, so a long one is cut and gets a digest of the whole."""
    raw = segment.encode()
    if segment in (".", ".."):
        return "%2E" * len(segment)
    if len(raw) <= _MAX_COMPONENT and not _SHORTENED.search(segment) and "/" not in segment:
        return segment
    suffix = re.search(r"\.[A-Za-z0-9]{1,10}$", segment)
    head = raw[: _MAX_COMPONENT - 50].decode("utf-8", "ignore").replace("/", "_")
    return f"{head}{suffix[0] if suffix else ''}~{hashlib.sha256(raw).hexdigest()[:32]}"
