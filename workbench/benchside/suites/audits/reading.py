"""The second path: read the statements back out of a note's text, and look each one up by SQL.

These functions know how notes are laid out, not how they were written or what was planted.
Solutions carry their source into the kernel, so that each uses nothing but its arguments, `re`,
`datetime` and the functions here.
"""

from __future__ import annotations

import datetime
import re

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,union-attr,var-annotated"
# (annotations would name types that kernels lack)


def queries():
    """Return {table: a query for (name, time, value, unit, route) of a stay's rows}."""
    item = "JOIN {} d ON d.{} = e.{} WHERE e.hadm_id = ?"
    items = item.format("d_items", "itemid", "itemid")
    return {
        "labevents": "SELECT d.label, charttime, valuenum, valueuom, '' FROM labevents e "
        + item.format("d_labitems", "itemid", "itemid"),
        "chartevents": "SELECT d.label, charttime, valuenum, valueuom, '' FROM chartevents e "
        + items,
        "inputevents_cv": "SELECT d.label, charttime, amount, 'ml', '' FROM inputevents_cv e "
        + items,
        "outputevents": "SELECT d.label, charttime, value, 'ml', '' FROM outputevents e " + items,
        "prescriptions": "SELECT drug, startdate, dose_val_rx, dose_unit_rx, route "
        "FROM prescriptions WHERE hadm_id = ?",
        "procedures_icd": "SELECT d.short_title, charttime, '', '', '' FROM procedures_icd e "
        + item.format("d_icd_procedures", "icd9_code", "icd9_code"),
        "diagnoses_icd": "SELECT d.short_title, charttime, '', '', '' FROM diagnoses_icd e "
        + item.format("d_icd_diagnoses", "icd9_code", "icd9_code"),
        "microbiologyevents": "SELECT spec_type_desc, charttime, coalesce(org_name, 'no growth'), "
        "'', '' FROM microbiologyevents WHERE hadm_id = ?",
    }


def vocabulary(con, abbreviations):
    """Return {table: {as it may be written: name}}, organisms, units and routes, in lower case.

    abbreviations: name of a laboratory test or vital sign → its abbreviation.
    """
    known = {
        "labevents": "SELECT label, label FROM d_labitems",
        "chartevents": "SELECT label, label FROM d_items WHERE linksto = 'chartevents'",
        "inputevents_cv": "SELECT label, label FROM d_items WHERE linksto = 'inputevents_cv'",
        "outputevents": "SELECT label, label FROM d_items WHERE linksto = 'outputevents'",
        "prescriptions": "SELECT DISTINCT drug, drug FROM prescriptions",
        "microbiologyevents": "SELECT DISTINCT spec_type_desc, spec_type_desc "
        "FROM microbiologyevents",
    }
    for table in ("procedures", "diagnoses"):
        known[f"{table}_icd"] = (
            f"SELECT short_title, short_title FROM d_icd_{table} UNION "
            f"SELECT long_title, short_title FROM d_icd_{table}"
        )
    names = {table: dict(con.execute(sql).fetchall()) for table, sql in known.items()}
    for table in ("labevents", "chartevents"):
        labels = set(names[table])
        names[table].update((abbreviations[n].lower(), n) for n in labels if n in abbreviations)

    def column(sql):
        return {row[0] for row in con.execute(sql) if row[0]}

    organisms = column("SELECT DISTINCT org_name FROM microbiologyevents") | {"no growth"}
    units = column("SELECT DISTINCT valueuom FROM labevents")
    units |= column("SELECT DISTINCT valueuom FROM chartevents")
    units |= column("SELECT DISTINCT dose_unit_rx FROM prescriptions")
    units |= {"ml", "l", "lb", "cm", "kpa", "deg. f", "g/l", "mmol/l", "mg/ml", "min", "g", "mcg"}
    return names, organisms, units, column("SELECT DISTINCT route FROM prescriptions")


def take_date(text, admitted):
    """Return a text without its date, and the date as 2105-01-31; "" where it has none."""
    months = ["january", "february", "march", "april", "may", "june", "july", "august",
              "september", "october", "november", "december"]  # fmt: skip
    found = re.search(r"\b(\d{4})-(\d\d)-(\d\d)\b", text)
    if found:
        return text.replace(found[0], " "), found[0]
    found = re.search(r"\b(\d\d)/(\d\d)/(\d{4})\b", text)
    if found:
        return text.replace(found[0], " "), f"{found[3]}-{found[1]}-{found[2]}"
    found = re.search(rf"\b(\d{{1,2}}) ({'|'.join(months)}) (\d{{4}})\b", text)
    if found:
        month = months.index(found[2]) + 1
        return text.replace(found[0], " "), f"{found[3]}-{month:02}-{int(found[1]):02}"
    found = re.search(r"\bhospital day (\d+)\b", text)
    if found:
        first = datetime.date.fromisoformat(admitted[:10])
        date = first + datetime.timedelta(int(found[1]) - 1)
        return text.replace(found[0], " "), date.isoformat()
    return text, ""


def longest(text, words):
    """Return the longest of the words in a text, the first of equally long ones, and its place."""
    best = ("", -1)
    for word in words:
        found = re.search(rf"(?<![\w/.]){re.escape(word)}(?![\w/])", text)
        if found and (len(word), -found.start()) > (len(best[0]), -best[1]):
            best = (word, found.start())
    return best


def table_of(heading):
    """Return the table that a section of this heading is about; "" of none."""
    rules = {
        r"diagnos|\bdx\b": "diagnoses_icd", r"proc": "procedures_icd",
        r"\blab|pertinent": "labevents", r"vital|\bvs\b": "chartevents",
        r"micro|culture": "microbiologyevents", r"medications|\bmeds|drug": "prescriptions",
        r"\bin\b|intake": "inputevents_cv", r"\bout\b|output": "outputevents",
    }  # fmt: skip
    return next((table for rule, table in rules.items() if re.search(rule, heading)), "")


def read_note(text, admitted, words):
    """Return [(line number, table, name, date, clock, value, unit, route)] of a note's statements.

    words: what `vocabulary` returns.
    """
    names, organisms, units, routes = words
    unit_pattern = "|".join(re.escape(unit) for unit in sorted(units, key=len, reverse=True))
    route_pattern = "|".join(re.escape(route) for route in sorted(routes, key=len, reverse=True))
    lines = text.lower().split("\n")
    today = next((line[6:16] for line in lines if line.startswith("date: ")), "")
    found, table = [], ""
    for number, line in enumerate(lines, start=1):
        if number == 1 or not lines[number - 2]:  # the first line of a paragraph is its heading
            table = table_of(line)
            continue
        written, place = longest(line, names.get(table, ()))
        if not written:
            continue
        rest, date = take_date(line[:place] + " " + line[place + len(written) :], admitted)
        clock = "".join(re.findall(r"\b\d\d:\d\d\b", rest)[:1])
        if clock:
            rest, date = rest.replace(clock, " "), date or today
        value = unit = route = ""
        if table == "microbiologyevents":
            value = max((name for name in organisms if name in rest), key=len, default="?")
        elif table not in ("procedures_icd", "diagnoses_icd"):
            told = re.search(
                rf"(?<![\w.])(-?(?:\d+(?:\.\d+)?|\.\d+))(?: *({unit_pattern})(?![\w/]))?"
                rf"(?: +({route_pattern})\b)?",
                rest,
            )
            value, unit, route = (part or "" for part in told.groups())
        found.append((number, table, names[table][written], date, clock, value, unit, route))
    return found


def differing(statement, row):
    """Return the fields in which a row differs from what a statement says."""
    _, _, _, date, clock, value, unit, route = statement
    _, time, right, right_unit, right_route = row
    wrong = []
    try:
        same = abs(float(value) - float(right)) < 1e-9
    except ValueError:
        same = value == str(right).strip()
    if value and not same:
        wrong.append("value")
    if unit and unit != (right_unit or "").strip():
        wrong.append("unit")
    if route and route != right_route:
        wrong.append("route")
    if (date and time[:10] != date) or (clock and time[11:16] != clock):
        wrong.append("time")
    return wrong


def audit(con, text, hadm, words):
    """Return {line: (verdict, what the tables have instead)} of a note; the latter as a set."""
    admitted = con.execute("SELECT admittime FROM admissions WHERE hadm_id = ?", (hadm,))
    stay = {table: con.execute(sql, (hadm,)).fetchall() for table, sql in queries().items()}
    verdicts = {}
    for statement in read_note(text, admitted.fetchone()[0], words):
        rows = [row for row in stay[statement[1]] if row[0] == statement[2]]
        wrong = [(differing(statement, row), row) for row in rows]
        single = {fields[0] for fields, _ in wrong if len(fields) == 1}
        if not rows:
            verdict, instead = "absent", set()
        elif any(not fields for fields, _ in wrong):
            verdict, instead = "consistent", set()
        elif len(single) != 1:
            verdict, instead = "unclear", set()
        else:
            (verdict,) = single
            place = {"time": 1, "value": 2, "unit": 3, "route": 4}[verdict]
            right = {row[place] for fields, row in wrong if fields == [verdict]}
            instead = {cell[:16] if verdict == "time" else cell for cell in right}
        verdicts[statement[0]] = (verdict, instead)
    return verdicts
