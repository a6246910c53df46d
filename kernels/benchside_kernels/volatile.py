"""What differs between any two kernels in the text of an output, whichever cell they ran.

The differential test of the front ends and the comparison of replays both read it.
"""

from __future__ import annotations

import re
import tempfile

COLOURS = r"\x1b\[[0-9;]*m"
TIMES = r"[\d.]+(?:e[+-]?\d+)? (?:ns|us|µs|μs|ms|s)\b"

_NAMES = {
    r"0x[0-9a-f]+": "ADDRESS",
    rf"(?:{re.escape(tempfile.gettempdir())}/bs-\w+|/kernel)/\w+": "FOLDER",
    r"ipykernel_\d+/\d+\.py": "CELL.py",
    r"Thread-\d+": "THREAD",
    r"[\d,]+ characters dropped": "CHARACTERS",
    # frames inside of the front end itself
    r"\nFile \S*(?:ipykernel|jupyter_client|benchside_kernels)/\S+\.py:(?:.*\n)*?(?=\n|$)": "",
}


def steady(text: str, *, times: bool) -> str:
    """Replace colours, addresses, folders, compiled cells, threads and counts of dropped text.

    Args:
        times: durations with a unit, too. A cell that measures no time may show one as a result,
            such as a QT interval of 400 ms.
    """
    text = re.sub(COLOURS, "", text)  # colours come with line numbers
    for pattern, replacement in _NAMES.items():
        text = re.sub(pattern, replacement, text)
    return re.sub(TIMES, "TIME", text) if times else text
