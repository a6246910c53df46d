"""A cell's outputs and a policy's prose as HTML that can do nothing.

Both are written by whoever is being evaluated. Scripts, forms, remote images and redirections must
not come to life on the machine of the person who reads: HTML goes through nh3, SVG is shown as an
image (which runs no scripts), and the pages forbid scripts and the network besides.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

IMAGES = ("image/png", "image/jpeg", "image/gif")
# Tables as pandas writes them; no ids, classes or styles by which a page could be dressed up.
TAGS = nh3.ALLOWED_TAGS - {"img"}
ATTRIBUTES = {
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "a": {"href", "title"},
}
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# Longer outputs are cut: a page is for reading, the notebook has it all.
MAX_CHARS = 50_000


def output_html(output: Mapping[str, Any]) -> str:
    """Return an nbformat output as HTML: the richest form that is safe to show."""
    match output["output_type"]:
        case "stream":
            kind = "stderr" if output["name"] == "stderr" else "stdout"
            return _text(output["text"], kind)
        case "error":
            trace = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
            return _text(trace, "error")
        case _:
            return _displayed(output.get("data", {}))


def prose_html(text: str) -> str:
    """Return Markdown as HTML; HTML within it is shown as text, images are left out."""
    return nh3.clean(_markdown().render(text), tags=TAGS, attributes=ATTRIBUTES)


def code_html(source: str) -> str:
    """Return Python source as highlighted HTML."""
    lexer, formatter = PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)
    return f'<pre class="code" tabindex="0">{highlight(source, lexer, formatter)}</pre>'


def cell_html(source: str, outputs: Iterable[Mapping[str, Any]] = ()) -> str:
    """Return a cell with its outputs for places that have no style sheet of ours, as notebooks."""
    code = (
        f'<div style="border-left: 3px solid #0072B2; padding-left: 8px">{code_html(source)}</div>'
    )
    shown = "".join(map(output_html, outputs))
    return f'<div style="font-family: monospace; text-align: left">{code}{shown}</div>'


def code_style() -> str:
    """Return the style sheet of highlighted code, for light and dark screens."""
    light, dark = (HtmlFormatter(style=name) for name in ("default", "github-dark"))
    dark_rules = dark.get_style_defs(".code")
    return f"{light.get_style_defs('.code')}\n@media (prefers-color-scheme: dark) {{{dark_rules}}}"


def _displayed(data: Mapping[str, Any]) -> str:
    for kind in IMAGES:
        if kind in data:
            return _image(kind, "".join(str(data[kind]).split()), data)
    if "image/svg+xml" in data:
        encoded = base64.b64encode(_joined(data["image/svg+xml"]).encode()).decode()
        return _image("image/svg+xml", encoded, data)
    if "text/html" in data:
        clean = nh3.clean(_joined(data["text/html"]), tags=TAGS, attributes=ATTRIBUTES)
        return f'<div class="shown" tabindex="0">{_cut(clean)}</div>'
    if "text/markdown" in data:
        return f'<div class="shown">{prose_html(_joined(data["text/markdown"]))}</div>'
    if "text/plain" in data:
        return _text(data["text/plain"], "result")
    return _text(f"[{', '.join(sorted(data)) or 'nothing'}: open the notebook to see it]", "result")


def _image(kind: str, encoded: str, data: Mapping[str, Any]) -> str:
    said = _joined(data.get("text/plain", "")) or "image"
    described = html.escape(f"Output of the cell: {said}"[:200])
    source = html.escape(encoded)
    return f'<img class="shown" alt="{described}" src="data:{kind};base64,{source}">'


def _text(text: object, kind: str) -> str:
    plain = ANSI.sub("", _joined(text))
    dropped = len(plain) - MAX_CHARS
    if dropped > 0:
        plain = f"{plain[:MAX_CHARS]}\n[{dropped:,} characters more in the notebook]"
    return f'<pre class="{kind}" tabindex="0">{html.escape(plain)}</pre>'


def _cut(clean: str) -> str:
    """Cut long HTML; a second pass closes the tags that the cut left open."""
    if len(clean) <= MAX_CHARS:
        return clean
    kept = nh3.clean(clean[:MAX_CHARS], tags=TAGS, attributes=ATTRIBUTES)
    return f"{kept}<p>[{len(clean) - MAX_CHARS:,} characters more in the notebook]</p>"


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list | tuple) else str(text)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")
