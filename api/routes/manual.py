"""/docs: the API's manual as one page, drawn from the OpenAPI document. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from html import escape
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.routes import manual_tables

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    "h1{margin-bottom:0}h2{margin-top:3rem;border-bottom:1px solid #ccd;padding-bottom:.3rem}"
    "article{margin:1.5rem 0;padding:1rem;border:1px solid #ccd;border-radius:.4rem}"
    "article h3{margin:0 0 .5rem;font:600 1rem ui-monospace,monospace;overflow-wrap:anywhere}"
    "pre{overflow:auto;background:#f4f6f9;padding:.8rem;border-radius:.3rem}code{font-family:ui-monospace,monospace}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}"
    "@media(prefers-color-scheme:dark){body{color:#e6e9ee;background:#14181d}pre{background:#1e242c}"
    "article,h2{border-color:#3a4350}a{color:#9cc4ff}}"
)
# The hash of the one style block; nothing else may be loaded, and nothing may run.
_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_QUICK_START = """\
antin token issue --scope sign > token                        # where the service runs; good for 90 days
curl -H "Authorization: Bearer $(cat token)" \\
     -F file=@letter.pdf -F credential=officer \\
     -F 'metadata={"Subject": "Về việc …", "CodeNotation": "UBND-VP"}' \\
     $BASE/api/v1/documents                                  # the officer signs; CODE is in the answer
curl $BASE/api/v1/documents/CODE/file -o approved.pdf
curl -H "Authorization: Bearer $(cat token)" \\
     -F file=@approved.pdf -F credential=seal \\
     $BASE/api/v1/documents                                  # the agency seals: number, date, issued
curl $BASE/api/v1/documents/CODE/file -o issued.pdf
curl -F file=@issued.pdf $BASE/api/v1/verify                 # anybody
curl $BASE/api/v1/documents/CODE                             # what the register says
curl -H "Authorization: Bearer $(cat token)" -H "Content-Type: application/json" \\
     -d '{"reason": "…"}' $BASE/api/v1/documents/CODE/recall # out of force, at once"""


async def manual(request: Request) -> Response:
    """The manual in English, like all of the API."""
    document = request.app.openapi()
    base = _address(request, request.app.state.services.installation.settings.http.public_url)
    page = "".join(_page(document, base))
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


def _address(request: Request, public_url: str) -> str:
    """The address the reader used: ours by its public name, scheme and all, or whatever else led here."""
    host = request.url.netloc
    return public_url if host == urlsplit(public_url).netloc else f"{request.url.scheme}://{host}"


def _page(document: dict[str, Any], base: str) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>"
    yield f"<h1>{escape(info['title'])} API</h1><p>{escape(info['summary'])} Version {escape(info['version'])}. "
    yield 'The same for programs: <a href="/openapi.json">openapi.json</a>. For people: <a href="/">check a document</a>.</p>'
    yield f"<p>{_text(info['description'])}</p><h2>First signed document</h2>"
    yield f"<pre><code>{escape(_QUICK_START.replace('$BASE', base))}</code></pre>"
    for tag in document["tags"]:
        yield f'<h2 id="{escape(tag["name"])}">{escape(tag["name"].capitalize())}</h2><p>{_text(tag["description"])}</p>'
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation, base)
    for title, heading, rows in _TABLES:
        yield f'<h2 id="{title.lower().replace(" ", "-")}">{title}</h2>{_table(heading, list(rows()))}'
    yield "<h2>Objects</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<article id="{escape(name)}"><h3>{escape(name)}</h3>{_members(schema)}</article>'
    yield "</main></body></html>"


def _operation(path: str, method: str, operation: dict[str, Any], base: str) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}"><h3>{method.upper()} {escape(path)}</h3>'
    yield f"<p><strong>{escape(operation['summary'])}.</strong> {_text(operation.get('description', ''))}</p>"
    rows = [(each["name"], each["in"], each["description"]) for each in operation.get("parameters", ())]
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(media_type)}</code> {_kind(body['schema'])}</p>"
        required = body["schema"].get("required", ())
        for name, schema in body["schema"].get("properties", {}).items():
            text = schema.get("description", "")
            rows.append((name, "form, required" if name in required else "form", text + _choices(schema)))
    if rows:
        yield _table(("Name", "Where", ""), rows)
    for sample in operation.get("x-codeSamples", ()):
        yield f"<pre><code>{escape(sample['source'].replace('$BASE', base))}</code></pre>"
    answers, examples = [], []
    for status, answer in operation["responses"].items():
        kinds = [
            f"<code>{escape(media)}</code> {_kind(body.get('schema', {}))}"
            for media, body in answer.get("content", {}).items()
        ]
        examples += [
            body["example"]
            for body in answer.get("content", {}).values()
            if "example" in body and status.startswith("2") and "x-codeSamples" in operation
        ]
        answers.append(f"<tr><td>{status}</td><td>{_text(answer['description'])}</td><td>{' '.join(kinds)}</td></tr>")
    yield f"<table><thead><tr><th>Answer</th><th></th><th></th></tr></thead><tbody>{''.join(answers)}</tbody></table>"
    for example in examples:
        yield f"<pre><code>{escape(json.dumps(example, ensure_ascii=False, indent=2))}</code></pre>"
    yield "</article>"


def _table(heading: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heading)
    body = "".join(
        f"<tr><td><code>{escape(a)}</code></td><td>{escape(b)}</td><td>{_text(c)}</td></tr>" for a, b, c in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _members(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return f"<p>{_kind(schema)}{escape(_choices(schema))}</p>"
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{'' if name in required else 'optional'}</td>"
        f"<td>{_kind(part)}{escape(_choices(part))} {_text(part.get('description', ''))}</td></tr>"
        for name, part in schema["properties"].items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _kind(schema: dict[str, Any]) -> str:
    """The kind of a value in a few words, with a link where it is an object of its own."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return "list of " + (_kind(schema.get("items", {})) or "values")
    kind = schema.get("type", "")
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _choices(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f" always {schema['const']}"
    return " one of: " + ", ".join(str(each) for each in schema["enum"]) if "enum" in schema else ""


def _text(text: str) -> str:
    """Escaped, with `code` in back-ticks set as code and **words** in bold."""
    parts = escape(text).split("`")
    marked = "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
    return "".join(f"<strong>{part}</strong>" if number % 2 else part for number, part in enumerate(marked.split("**")))


_TABLES: tuple[tuple[str, tuple[str, ...], Callable[[], Iterator[manual_tables.Row]]], ...] = (
    ("Scopes of a token", ("Scope", "", "Allows"), manual_tables.scopes),
    ("Metadata names", ("Name", "Characters", ""), manual_tables.metadata_names),
    ("Problem codes", ("Code", "Status", "Says"), manual_tables.problem_codes),
    ("Reasons of a verdict", ("Reason", "Conclusion", "Says"), manual_tables.verdict_reasons),
)

routes = [Route("/docs", manual, methods=["GET"])]
