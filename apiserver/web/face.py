"""The routes of the page: its HTML document, its files, and the result links that ClearML's SDK prints.

These routes are not protected by the origin check: the document is static and contains no data, and a link from a chat program, a cross-site
navigation, must work. All calls for data are same-origin and authenticated.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from flask import Blueprint, Flask, Response, redirect, request

from apiserver.settings import WebSettings
from apiserver.web.assets import Assets
from apiserver.web.policy import PagePolicy

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
FRAMES = ("plots.html",)
"""Documents of sandboxed frames."""


_RUN_TABS = ("charts", "overview", "console", "images", "plots", "config", "artifacts", "storage")
_COMPARE_TABS = ("charts", "config", "images", "plots", "values")
BUNDLES: dict[str, tuple[str, ...]] = {
    "app": (),
    "runs": ("views/runs.js",),
    "projects": ("views/projects.js",),
    "login": ("views/login.js",),
    **{f"run-{tab}": ("views/run.js", f"views/{tab}.js") for tab in _RUN_TABS},
    **{f"compare-{tab}": ("views/compare.js", f"views/compare-{tab}.js") for tab in _COMPARE_TABS},
}
"""The modules that a view needs for its first paint, beside the program, by bundle."""


def _bundle(path: str, tab: str) -> str:
    """The bundle for a URL's path and `tab` parameter. An unknown tab is the first one."""
    if path.startswith("/runs/"):
        return f"run-{tab if tab in _RUN_TABS else _RUN_TABS[0]}"
    if path == "/compare":
        return f"compare-{tab if tab in _COMPARE_TABS else _COMPARE_TABS[0]}"
    return {"/": "runs", "/projects": "projects", "/login": "login"}.get(path, "app")


def wants_page() -> bool:
    """Whether the Accept header names text/html, as browsers do; the `*/*` of curl and SDKs does not count."""
    return any(value.lower().startswith("text/html") and quality > 0 for value, quality in request.accept_mimetypes)


class Page:
    """The handlers of the page's routes. `version` changes whenever a file changes."""

    def __init__(self, assets: Assets, policy: PagePolicy) -> None:
        self._assets = assets
        self._policy = policy
        self.version = assets.version

    def shell(self) -> Response:
        """The HTML document. It is the same for every view, apart from the bundle that it loads; the program reads the URL."""
        name = _bundle(request.path, request.args.get("tab", ""))
        response = self._assets.shell(name).answer(request.accept_encodings, self._policy.page)
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(f"{self.version}-{name}-{response.headers.get('Content-Encoding', 'plain')}")
        response.make_conditional(request)
        return response

    def file(self, version: str, name: str) -> Response:
        """A file of this version. 404 for another version; the page then offers to reload."""
        asset = self._assets.get(name) if version == self.version and name != "index.html" else None
        if asset is None:
            return Response("no such file\n", 404, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})
        headers = self._policy.frame if name in FRAMES else self._policy.asset
        return asset.answer(request.accept_encodings, {**headers, "Cache-Control": FOR_EVER})

    def run(self, id: str) -> Response:
        """The document, at the path that Runicorn's viewer has too."""
        return self.shell()

    def results(self, project: str, id: str, rest: str = "") -> Response:
        """Redirects the results page that ClearML's SDK prints to the run."""
        tab = "?tab=console" if rest.endswith("log") else ""
        response: Response = redirect(f"/runs/{quote(id, safe='')}{tab}", 302)  # type: ignore[assignment]
        return response


def open_page(settings: WebSettings) -> Page:
    """Read the files of the page. Raises StartupError when one is missing."""
    return Page(Assets(STATIC, BUNDLES), PagePolicy(settings.frame_ancestors, settings.image_origins))


def register_web(app: Flask, page: Page) -> None:
    """Add the page's routes except `/`, where `app.py` negotiates between page and JSON."""
    web = Blueprint("web", __name__)
    for path in ("/projects", "/compare", "/login"):
        web.add_url_rule(path, f"shell {path}", page.shell)
    web.add_url_rule("/runs/<path:id>", "run", page.run)
    web.add_url_rule("/ui/<version>/<path:name>", "file", page.file)
    for kind in ("experiments", "tasks"):
        web.add_url_rule(f"/projects/<project>/{kind}/<id>", f"{kind}", page.results)
        web.add_url_rule(f"/projects/<project>/{kind}/<id>/<path:rest>", f"{kind} tab", page.results)
    app.register_blueprint(web)
