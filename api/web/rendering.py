"""Rendering: templates, words and static files of the pages, read once a process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.settings import Settings
from api.web.headers import PAGE_HEADERS, SECURITY_HEADERS, STATIC_HEADERS
from api.web.languages import NAMES, choose_language
from api.web.sentences import Voices

_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    media_type: str
    version: str


class Renderer:
    """Makes answers out of views. Any number of requests share it. `training`: whether people only practise here, asked for each."""

    def __init__(self, settings: Settings, *, training: Callable[[], bool]) -> None:
        self._training = training
        self._voices = Voices()
        self._assets = dict(_read_assets())
        self._templates = Environment(
            # Everything is escaped, whatever a file is called: texts here come from strangers' files.
            loader=PackageLoader("api.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._constants = {
            "languages": NAMES,
            "limit_mb": str(settings.web.max_upload_mb),
            "practice": self._voices.of("vi")("WEB_WORD_TRAINING"),
            "public_url": settings.http.public_url,
            "host": urlsplit(settings.http.public_url).netloc,
            "asset": self._asset_address,
        }

    def answer(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        others: tuple[str, str] | None = None,
        again: str = "",
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:
        """One page. `others`: codes of word and sentence, said in the other languages too, for whoever stands beside the reader.

        `again` is where a link to another language leads when this page cannot be asked for again (the answer to a form).
        """
        language = language_of(request)
        context = {
            **self._constants,
            **values,
            "lang": language,
            "training": self._training(),
            "say": self._voices.of(language),
            "page": lambda path: f"{path}?{urlencode({'lang': language})}",
            "page_path": lambda path: path,
            "in_language": lambda other: _in_language(request, other, again),
            "others": self._in_others(language, others),
        }
        html = self._templates.get_template(template).render(context)
        return HTMLResponse(html, status, {**PAGE_HEADERS, "Content-Language": language, **(headers or {})})

    def asset(self, name: str, version: str) -> Response | None:
        """A static file; kept by browsers for good only under the address that bears its content's version."""
        asset = self._assets.get(name)
        if asset is None:
            return None
        headers = STATIC_HEADERS if version == asset.version else {**SECURITY_HEADERS, "Cache-Control": "no-cache"}
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    def _asset_address(self, name: str) -> str:
        return f"/static/{name}?v={self._assets[name].version}"

    def _in_others(self, language: str, codes: tuple[str, str] | None) -> list[tuple[str, str, str, str]]:
        if codes is None:
            return []
        spoken = [(other, name, self._voices.of(other)) for other, name in NAMES.items() if other != language]
        return [(other, name, speak(codes[0]), speak(codes[1])) for other, name, speak in spoken]


def language_of(request: Request) -> str:
    """The language that a request asks for."""
    return choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))


def _in_language(request: Request, language: str, again: str) -> str:
    """The same page in another language. Only parameters that pages know are carried on."""
    kept = (
        {}
        if again
        else {
            name: request.query_params[name]
            for name in ("code", "serial", "at", "sha256")
            if name in request.query_params
        }
    )
    return f"{again or request.url.path}?{urlencode({**kept, 'lang': language})}"


def _read_assets() -> list[tuple[str, _Asset]]:
    found = []
    for entry in files("api.web").joinpath("static").iterdir():
        media_type = _MEDIA_TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None:
            content = entry.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:16]
            found.append((entry.name, _Asset(content, media_type, version)))
    return found
