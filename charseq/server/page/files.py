"""The page at `/`: three files, which load nothing from elsewhere and make no HTML of sequences."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from charseq.server.gate import PAGE_PATHS, notes_of

# The page runs its own script only, asks this server only, and parses no text as HTML.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page and its script are of one version, also after an update of the server.
    "Cache-Control": "no-store",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_FOLDER = Path(__file__).with_name("static")


def page_routes() -> list[Route]:
    """Return the paths of the page and its files."""
    return [_route(path, _FOLDER / (path[1:] or "index.html")) for path in sorted(PAGE_PATHS)]


def _route(path: str, file: Path) -> Route:
    content = file.read_bytes()

    async def answer(request: Request) -> Response:
        notes_of(request.scope).route = path
        return Response(content, headers=_HEADERS, media_type=_TYPES[file.suffix])

    return Route(path, answer)
