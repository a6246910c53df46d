"""The second path, first half: reading the facts back out of a note's text.

These functions know how notes are laid out, not how they were written. Solutions carry their source
into the kernel, so that each uses nothing but its arguments, `re`, and the functions above it.
"""

from __future__ import annotations

import re

# mypy: disable-error-code="no-untyped-def,no-untyped-call,var-annotated,no-any-return"
# (annotations would name types that kernels lack)


def with_iso_dates(text):
    """Return the text with each date written as @2024-02-29@."""
    months = ["January", "February", "March", "April", "May", "June", "July", "August",
              "September", "October", "November", "December"]  # fmt: skip
    names = "|".join(months)
    text = re.sub(r"\b(\d{4})-(\d\d)-(\d\d)\b", r"@\1-\2-\3@", text)
    text = re.sub(r"\b(\d\d)/(\d\d)/(\d{4})\b", r"@\3-\1-\2@", text)
    number = {month: place for place, month in enumerate(months, start=1)}
    text = re.sub(rf"\b(\d{{1,2}}) ({names}) (\d{{4}})\b",
                  lambda m: f"@{m[3]}-{number[m[2]]:02}-{int(m[1]):02}@", text)  # fmt: skip
    return re.sub(rf"\b({names}) (\d{{1,2}}), (\d{{4}})\b",
                  lambda m: f"@{m[3]}-{number[m[1]]:02}-{int(m[2]):02}@", text)  # fmt: skip


def read_values(note, labels, units, latest):
    """Return {name: (number, unit)}: of each measurement, the value of the last or first day.

    labels: label in lower case → name, or None for a test that is of no interest.
    units: name → the spellings of its units; "" where it has none.
    """
    spellings = sorted({unit for known in units.values() for unit in known if unit}, key=len)[::-1]
    token = re.compile(
        r"@(?P<date>[\d-]+)@|(?P<high>\d+)/(?P<low>\d+)(?= *(?:mm ?Hg|\||$))"
        rf"|\b(?P<label>{'|'.join(map(re.escape, sorted(labels, key=len)[::-1]))})\b"
        rf"|(?<![\w.])(?P<number>\d+(?:\.\d+)?) *"
        rf"(?P<unit>{'|'.join(map(re.escape, spellings))})?(?!\w)"
        r"|(?P<end>[.;](?=\s|$)|\n)",
        re.IGNORECASE | re.MULTILINE,
    )
    found, day, columns = {}, "", []

    def add(name, value, unit, when):
        if unit in units.get(name, ()):
            found.setdefault(name, []).append((when, float(value), unit))

    for line in with_iso_dates(note).split("\n"):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 1:  # a table: one column per day
            if cells[1].startswith("@"):
                columns = [cell.strip("@") for cell in cells[1:]]
                continue
            label, _, unit = cells[0].removesuffix(")").partition(" (")
            for when, cell in zip(columns, cells[1:], strict=True):
                if "/" in cell:
                    high, low = cell.split("/")
                    add("systolic", high, "mm Hg", when)
                    add("diastolic", low, "mm Hg", when)
                elif cell != "-":
                    add(labels.get(label.lower()), cell, unit, when)
            continue
        name, waiting = None, []
        for part in [*token.finditer(line + "\n")]:
            if part["label"]:
                name = labels[part["label"].lower()]
            elif part["date"]:
                before = line[: part.start()]
                if waiting and re.search(r"\bon $", before):  # "1.4 mg/dL on 5 March"
                    waiting = [(*kept[:3], part["date"]) if kept[3] is None else kept
                               for kept in waiting]  # fmt: skip
                else:
                    day = part["date"]
            elif part["high"]:
                waiting.append(("systolic", part["high"], "mm Hg", None))
                waiting.append(("diastolic", part["low"], "mm Hg", None))
            elif part["number"] and name:
                waiting.append((name, part["number"], part["unit"] or "", None))
            elif part["end"]:
                for name, value, unit, when in waiting:
                    add(name, value, unit, when or day)
                name, waiting = None, []
    return {
        name: sorted(rows, key=lambda row: row[0])[-1 if latest else 0][1:]
        for name, rows in found.items()
    }


def read_conditions(note, phrases):
    """Return {name: whether the patient has it}; what a relative had does not count."""
    known = "|".join(map(re.escape, sorted(phrases, key=len)[::-1]))
    found = {}
    for sentence in re.split(r"[.;](?=\s|$)", note):
        if re.search(r"\b(?:grand)?(?:father|mother)\b|\buncle\b", sentence):
            continue
        denied = re.search(r"no evidence of|denies|negative for|does not have|ruled out", sentence)
        for phrase in re.findall(rf"\b(?:{known})\b", sentence):
            found[phrases[phrase]] = not denied
    return found
