"""The OpenAPI description of the whole server, and a page to try it (no other server is asked for anything)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver import __version__

_RUN = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "maxLength": 256},
    "description": "Task id or Runicorn run id",
}
_DOWNSAMPLE = {
    "name": "downsample",
    "in": "query",
    "schema": {"type": "integer", "minimum": 100, "maximum": 50000},
    "description": "At most so many whole rows: first, last, and the extremes of every metric",
}
_SINCE = {"name": "since_step", "in": "query", "schema": {"type": "integer"}, "description": "Only rows after this step"}
_PAGE = [
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1},
        "description": "At most so many; the server's `runs.max_runs` is the default and the most",
    },
    {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": "How many of the newest are left out"},
]
_RANGE = {
    "name": "step_range",
    "in": "query",
    "schema": {"type": "string", "pattern": r"^-?\d+:-?\d+$"},
    "description": "`min:max`, inclusive",
}


def _schema(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


_ROWS = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": ["number", "string", "boolean", "null"]}}}
_TABLE = _schema(
    {
        "columns": {"type": "array", "items": {"type": "string"}},
        "rows": _ROWS,
        "total": {"type": "integer", "description": "Rows before down-sampling"},
        "sampled": {"type": "integer", "description": "Rows in this answer"},
    }
)
_PROBLEM = _schema({"detail": {"type": ["string", "array"], "items": {"type": "object"}}})


def _answer(text: str, schema: dict[str, Any] | None = None, kind: str = "application/json") -> dict[str, Any]:
    return {"description": text} if schema is None else {"description": text, "content": {kind: {"schema": schema}}}


def _operation(
    summary: str, parameters: list[dict[str, Any]], good: dict[str, Any], *problems: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    words = {
        "304": "Not changed (If-None-Match)",
        "400": "Bad request",
        "401": "Authentication is needed",
        "404": "Run not found",
        "413": "Body too large",
        "422": "Bad parameter",
        "429": "Too many requests",
        "503": "Come back later (Retry-After)",
    }
    answers = {"200": good, **{code: _answer(words[code], None if code == "304" else _PROBLEM) for code in problems}}
    return {"summary": summary, "parameters": parameters, "responses": answers, **({"requestBody": body} if body else {})}


_LINES = {
    "required": True,
    "description": "JSON lines as in events.jsonl, also gzipped (Content-Encoding: gzip)",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
}
_ERROR_LINES = {
    "name": "error_lines",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0, "default": 100},
    "description": "At most so many of the problems are listed",
}
_STORED = _schema(
    {
        "added": {"type": "integer", "description": "Lines that were stored"},
        "errors": {"type": "integer", "description": "Problems: of lines that were not stored, or not whole"},
        "passed_over": {"type": "integer", "description": "Lines of unknown types, and values of rows that are lists or objects"},
        "error_lines": {
            "type": "array",
            "description": "The first problems; lines are counted from 1",
            "items": _schema({"line": {"type": "integer"}, "reason": {"type": "string"}}),
        },
    }
)
_EXPORT = {
    "name": "format",
    "in": "query",
    "schema": {"type": "string", "enum": ["csv", "excel", "jsonl", "parquet", "log", "html"], "default": "csv"},
}

RUNS = "runs"

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Tidemark",
        "version": __version__,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "description": "Two APIs on one address: metrics and logs of runs, as Runicorn's clients read them (tag `runs`), and the calls of ClearML's clients"
        " (all other tags; each may also be called as /v<version>/<call>, and by any method). Live logs: WebSocket /api/runs/{run_id}/logs/ws"
        " (`tail`, `since`, `after`, `tqdm=hide`, `format=json`).",
    },
    "servers": [{"url": "/"}],
    "components": {
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
    },
    "security": [{}, {"basic": []}, {"bearer": []}],
    "paths": {
        "/api/runs": {
            "get": _operation(
                "Runs, newest first", _PAGE, _answer("The runs", {"type": "array", "items": {"type": "object"}}), "401", "422"
            )
        },
        "/api/runs/{run_id}": {"get": _operation("One run", [_RUN], _answer("The run", {"type": "object"}), "401", "404")},
        "/api/runs/{run_id}/metrics": {
            "get": _operation(
                "Rows by time, in seconds from the first",
                [_RUN, _DOWNSAMPLE, _SINCE, _RANGE],
                _answer("Rows", _TABLE),
                *("304", "401", "404", "422", "429"),
            )
        },
        "/api/runs/{run_id}/metrics_step": {
            "get": _operation(
                "Rows by step", [_RUN, _DOWNSAMPLE, _SINCE, _RANGE], _answer("Rows", _TABLE), "304", "401", "404", "422", "429"
            )
        },
        "/api/runs/{run_id}/progress": {
            "get": {**_operation("Always unknown", [_RUN], _answer("Unknown", {"type": "object"})), "deprecated": True}
        },
        "/api/runs/{run_id}/events": {
            "post": _operation(
                "Add events; lines that can't be read are named, the rest is stored",
                [_RUN, _ERROR_LINES],
                _answer("What was stored; 400 says the same where no line was", _STORED),
                *("400", "401", "404", "413", "422", "503"),
                body=_LINES,
            )
        },
        "/api/runs/{run_id}/imported": {
            "get": _operation(
                "How many lines of its log were imported",
                [_RUN],
                _answer("The number", _schema({"log_lines": {"type": "integer"}})),
                "401",
                "404",
            )
        },
        "/api/runs/{run_id}/meta": {
            "put": _operation(
                "Keep what a run folder says of its run (meta.json, status.json and summary.json as one object)",
                [_RUN],
                _answer("The run", {"type": "object"}),
                *("400", "401", "404", "503"),
                body={"required": True, "description": "A JSON object", "content": {"application/json": {"schema": {"type": "object"}}}},
            )
        },
        "/api/runs/{run_id}/export": {
            "get": _operation("All points (or the log) as a file", [_RUN, _EXPORT], _answer("The file"), "401", "404", "422")
        },
        "/api/v2/experiments/{run_id}/metrics/fast": {
            "get": _operation(
                "Numbers by step, filtered and down-sampled",
                [
                    _RUN,
                    {"name": "metric_names", "in": "query", "schema": {"type": "string"}, "description": "Comma-separated"},
                    _RANGE,
                    {"name": "downsample", "in": "query", "schema": {"type": "integer", "minimum": 0}},
                ],
                _answer("Rows", _schema({"columns": {"type": "array", "items": {"type": "string"}}, "rows": _ROWS})),
                *("400", "401", "404", "422"),
            )
        },
        "/api/health": {"get": _operation("Whether the server works", [], _answer("It does", {"type": "object"}), "503")},
    },
}


def whole(calls: Mapping[str, Any]) -> dict[str, Any]:
    """The description of both APIs. `calls`: paths, schemas and tags of the ClearML calls (`service_repo/openapi.py`)."""
    runs = {
        path: {method: {**operation, "tags": [RUNS], "operationId": f"{method} {path}"} for method, operation in methods.items()}
        for path, methods in DESCRIPTION["paths"].items()
    }
    return {
        **DESCRIPTION,
        "tags": [{"name": RUNS, "description": "Runs as Runicorn's clients read and write them"}, *calls["tags"]],
        "components": {**DESCRIPTION["components"], "schemas": calls["schemas"]},
        "paths": {**runs, **calls["paths"]},
    }


PAGE_HEADERS = {
    # Against clickjacking: this page sends requests that its user typed, so no other page may frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>API</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
 details { border: 1px solid #8886; border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem } summary { cursor: pointer }
 code { font-size: .95em } b { display: inline-block; min-width: 3.5em } label { display: block; margin: .4rem 0 }
 input, select, textarea { font: inherit; width: 100%; box-sizing: border-box } pre { overflow: auto; max-height: 24rem; background: #8882; padding: .6rem }
 button { font: inherit; padding: .3rem 1rem }
</style></head><body><h1>API</h1><p><label>Find <input id="find"></label></p><p><a href="/api/openapi.json">OpenAPI description</a></p><div id="list"></div>
<script>
const make = (tag, text, parent) => { const e = document.createElement(tag); if (text) e.textContent = text; parent && parent.append(e); return e }
fetch('/api/openapi.json').then(r => r.json()).then(api => {
  const list = document.getElementById('list'), find = document.getElementById('find')
  find.oninput = () => { for (const box of list.children) box.hidden = !box.dataset.text.includes(find.value.toLowerCase()) }
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, op] of Object.entries(methods)) {
    const box = make('details', '', list), head = make('summary', '', box)
    box.dataset.text = (path + ' ' + op.summary).toLowerCase()
    make('b', method.toUpperCase(), head); make('code', path, head); head.append(' \\u2013 ' + op.summary)
    const form = make('form', '', box), fields = []
    for (const p of op.parameters) {
      const label = make('label', p.name + (p.description ? ': ' + p.description : ''), form), input = make('input', '', label)
      input.required = !!p.required; fields.push([p, input])
    }
    let body; if (op.requestBody) { body = make('textarea', '', make('label', op.requestBody.description, form)); body.rows = 5 }
    make('button', 'Send', form)
    const out = make('pre', '', box); out.hidden = true
    form.onsubmit = async event => {
      event.preventDefault()
      let url = path; const query = new URLSearchParams()
      for (const [p, input] of fields) {
        if (p.in === 'path') url = url.replace('{' + p.name + '}', encodeURIComponent(input.value))
        else if (input.value !== '') query.set(p.name, input.value)
      }
      if ([...query].length) url += '?' + query
      out.hidden = false; out.textContent = '\\u2026'
      try {
        const r = await fetch(url, { method: method.toUpperCase(), body: body && body.value, headers: body ? { 'Content-Type': Object.keys(op.requestBody.content)[0] } : {} })
        const text = await r.text(), heads = [...r.headers].map(h => h.join(': ')).join('\\n')
        let shown = text.slice(0, 20000); try { shown = JSON.stringify(JSON.parse(text), null, 1).slice(0, 20000) } catch (e) {}
        out.textContent = method.toUpperCase() + ' ' + url + '\\n' + r.status + '\\n' + heads + '\\n\\n' + shown
      } catch (e) { out.textContent = String(e) }
    }
  }
})
</script></body></html>
"""
