"""Elements of an HTML file. Text enters through `text` only, which escapes it, so nothing in a run can become markup."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import time
from typing import Any

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--soft:#f5f7f9;--line:#dfe4e9;--fg:#16191d;--muted:#55606b;
--c0:#0035d1;--c1:#f2621b;--c2:#40236f;--c3:#bd82a3;--c4:#6b1103;--c5:#5280fb;--c6:#855785;--c7:#ad3514}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--soft:#1b1f24;--line:#2e353d;--fg:#e7eaee;--muted:#a0abb7;
--c0:#29b6ad;--c1:#f6c100;--c2:#01868b;--c3:#ea7d37;--c4:#b75402;--c5:#50defd;--c6:#903fe3;--c7:#d0f2b7}}
*{box-sizing:border-box}
body{max-width:1240px;margin:0 auto;padding:24px 16px 48px;background:var(--bg);color:var(--fg);font:14px/1.5 system-ui,sans-serif;
font-variant-numeric:tabular-nums}
h1{margin:0 0 12px;font-size:22px;overflow-wrap:anywhere}
h2{margin:32px 0 10px;font-size:16px;overflow-wrap:anywhere}
dl{display:flex;flex-wrap:wrap;gap:10px 28px;margin:0}
dt{color:var(--muted);font-size:12px}
dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px}
th,td{padding:4px 14px 4px 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
tbody th{font-weight:500}
td,tbody th{overflow-wrap:anywhere}
.num{text-align:right;white-space:nowrap;overflow-wrap:normal}
pre{max-height:70vh;margin:0;padding:12px;overflow:auto;background:var(--soft);border-radius:6px;font:12px/1.5 ui-monospace,monospace;white-space:pre-wrap;
overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));gap:14px}
figure{min-width:0;margin:0;padding:10px 12px;border:1px solid var(--line);border-radius:6px;break-inside:avoid}
figure h3{margin:0 0 4px;font-size:13px;overflow-wrap:anywhere}
svg[role]{display:block;width:100%;height:auto}
svg text{fill:var(--muted);font-size:11px}
figcaption svg{margin-right:5px}
.grid{stroke:var(--line)}
.band{opacity:.2;stroke:none}
.line{fill:none;stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}
figcaption{display:flex;flex-wrap:wrap;gap:2px 14px;margin-top:4px;color:var(--muted);font-size:12px}
figcaption span{overflow-wrap:anywhere}
footer{margin-top:40px;color:var(--muted);font-size:12px}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}.f7{fill:var(--c7)}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}
.s7{stroke:var(--c7)}
@media print{pre{max-height:none}}
"""
COLORS = 8

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""In the file itself, and in the header with which the server sends it."""

_UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ATTRIBUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*\Z")


class Html(str):
    """A piece of markup; never made from a run's texts."""

    __slots__ = ()


def text(value: Any) -> Html:
    """A value as text. What HTML can't hold becomes U+FFFD."""
    return Html(html.escape(_UNREADABLE.sub("\ufffd", "" if value is None else str(value))))


def element(name: str, *children: Html, **attributes: Any) -> Html:
    """`element("td", text(x), class_="num")`; an underscore at the end of a name is dropped, others become hyphens."""
    given = "".join(f' {_named(key)}="{text(value)}"' for key, value in attributes.items())
    assert all(isinstance(child, Html) for child in children), "a text must go through text()"
    return Html(f"<{name}{given}>{''.join(children)}</{name}>")


def _named(key: str) -> str:
    name = key.rstrip("_").replace("_", "-")
    assert _ATTRIBUTE.match(name), name
    return name


def page(title: str) -> tuple[bytes, bytes]:
    """The parts of the file before and after the content."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body><main>\n"
    )
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return head.encode(), f"</main><footer>Saved from Tidemark, {made}</footer></body></html>\n".encode()
