"""The security headers of the page (docs/page.md, "Security")."""

from __future__ import annotations

from collections.abc import Sequence

NONE = "'none'"


class PagePolicy:
    """Headers of the document (`page`), of the frame that draws stored figures (`frame`), and of files (`asset`)."""

    def __init__(self, frame_ancestors: Sequence[str], image_origins: Sequence[str]) -> None:
        own_and_given = " ".join(("'self'", *frame_ancestors))
        ancestors = own_and_given if frame_ancestors else NONE
        images = " ".join(("'self'", "data:", "blob:", *image_origins))
        common = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
        self.page = {
            **common,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Content-Security-Policy": _policy(
                default_src=NONE,
                script_src="'self'",
                style_src="'self'",
                img_src=images,
                media_src=images,
                connect_src="'self'",
                frame_src="'self'",
                worker_src="'self'",
                base_uri=NONE,
                form_action="'self'",
                frame_ancestors=ancestors,
                require_trusted_types_for="'script'",
                trusted_types=NONE,
            ),
        }
        # Figures come from training code: the frame has an opaque origin, so it reaches neither the API nor the cookie. It is shown by the page
        # only; `'self'` of frame-ancestors is the page's origin, and what shows the page in a frame is an ancestor too.
        self.frame = {
            **common,
            "Content-Security-Policy": "sandbox allow-scripts allow-downloads; "
            + _policy(
                default_src=NONE,
                script_src="'self'",
                style_src="'self' 'unsafe-inline'",
                img_src="data: blob:",
                base_uri=NONE,
                form_action=NONE,
                frame_ancestors=own_and_given,
            ),
            # The frame has an opaque origin, so it loads its scripts cross-origin.
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        self.asset = {**common, "Cross-Origin-Resource-Policy": "cross-origin"}


def _policy(**directives: str) -> str:
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in directives.items())
