"""File names: validation, and the path on disk.

A name is the path of an upload or download of ClearML's SDK, percent-decoded once:
`/project/task name.<task id>/metrics/loss/x/loss_x_00000000.jpeg`. The file is stored as `<company>/<task id>/<name>` (`<company>/shared/<name>`
without a task id), so that all files of a task are in one folder, even if its project was renamed in between.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

from apiserver.files.problems import BadName

SHARED = "shared"
"""The folder of files without a task id."""
MAX_NAME = 3000
"""Most bytes of a name: PATH_MAX (4096) minus room for the folders above."""
_MAX_COMPONENT = 200

_TASK_ID = re.compile(r"\.([0-9a-f]{32})$")
_SHORTENED = re.compile(r"~[0-9a-f]{32}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# urllib3 percent-encodes these characters in a multipart file name but not percent signs. Later requests have them decoded in the URL: both
# must find the same file.
_FOLDED = {"\r": "%0D", "\n": "%0A"}


def storage_path(company: str, name: str) -> list[str]:
    """The path of a file below the root folder: names of folders, then of the file.

    Raises BadName for path traversal (dot segments, also behind repeated percent codes or backslashes), control characters, and text that is
    not UTF-8. Different names never get the same path, except that CR and LF equal their percent codes.
    """
    segments = split(name)
    owner = next((found[1] for segment in segments if (found := _TASK_ID.search(segment))), SHARED)
    return [disk_name(company), owner, *map(disk_name, segments)]


def stored_names(name: str) -> list[str]:
    """The names under which the file `name` may be stored, the likeliest first.

    urllib3 uploads both `a"b` and `a%22b` as `a%22b`, and the file is stored under that name. Other clients send the quote itself.
    """
    return [name, name.replace('"', "%22")] if '"' in name else [name]


def task_folder(company: str, task: str) -> list[str] | None:
    """The folder with all files of a task; None for an id that can't occur in file names (32 hex digits)."""
    return [disk_name(company), task] if re.fullmatch("[0-9a-f]{32}", task) else None


def split(name: str) -> list[str]:
    """The segments of a name, without empty ones. Raises BadName."""
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
        if _CONTROL.search(segment) or "\x00" in fully_decoded(segment):
            raise BadName("the file name has a control character in it")
        if any(part in (".", "..") for part in re.split(r"[/\\]", fully_decoded(segment))):
            raise BadName('the file name has a "." or ".." segment in it, or one behind percent codes')
    return segments


_CODE = re.compile("%([0-9A-Fa-f]{2})")
_ALWAYS_CODED = frozenset(b' "<>\\^`{|}[]')
"""Characters that every client percent-encodes in a URL."""
_MAX_ESCAPED = 12
"""Most leading segments that the SDK may have encoded: folders of the file server's URL, project levels, the task."""


def other_decodings(path: str) -> list[str]:
    """Alternative decodings of a URL path, for names that contain percent codes themselves (`offline %C3%BC`).

    Clients put such a name into a URL without escaping its percent signs, so plain decoding yields another name. Tried in this order: keep codes of
    other characters, keep codes of ASCII characters, keep both; then the same in the leading segments only (the SDK escapes project and task, but not
    the names behind them).
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

    # As latin-1, so that the bytes of a multi-byte character come together.
    return _CODE.sub(decoded, path.encode().decode("latin-1")).encode("latin-1").decode("utf-8", "replace")


def fully_decoded(segment: str) -> str:
    """The segment after repeated percent-decoding, as a careless program might see it. Raises BadName after eight rounds."""
    for _ in range(8):
        further = unquote(segment)
        if further == segment:
            return segment
        segment = further
    raise BadName("the file name is percent-encoded more than eight times")


def disk_name(segment: str) -> str:
    """A segment as a name on disk. File systems allow 255 bytes: a long segment is cut and gets a digest of the whole."""
    raw = segment.encode()
    if segment in (".", ".."):
        return "%2E" * len(segment)
    if len(raw) <= _MAX_COMPONENT and not _SHORTENED.search(segment) and "/" not in segment:
        return segment
    suffix = re.search(r"\.[A-Za-z0-9]{1,10}$", segment)
    head = raw[: _MAX_COMPONENT - 50].decode("utf-8", "ignore").replace("/", "_")
    return f"{head}{suffix[0] if suffix else ''}~{hashlib.sha256(raw).hexdigest()[:32]}"
