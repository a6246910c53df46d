# ruff: noqa: E501 — the catalogue is a table, and its rows stay whole
"""What is charted at the bedside: vital signs, intakes and outputs."""

from __future__ import annotations

from dataclasses import dataclass

from benchside.hospital.catalogue import lines


@dataclass(frozen=True, slots=True)
class Vital:
    """A vital sign; `label` and `itemid` as MIMIC-III's d_items has them, `other` as eICU."""

    key: str
    itemid: int
    label: str
    other: str
    unit: str
    centre: float
    spread: float
    decimals: int
    least: float
    most: float
    effects: dict[str, float]


@dataclass(frozen=True, slots=True)
class Fluid:
    """An intake or output; `volume` is the typical amount of one entry in ml.

    Args:
        path: as eICU's cellpath, after "flowsheet|flowsheet cell labels|i&o|".
        share: chance that an intensive-care stay has it at all.
        per_day: entries a day.
    """

    key: str
    itemid: int
    label: str
    path: str
    volume: float
    share: float
    per_day: float


_VITALS = """
hr|211|heart rate|heartrate|bpm|81|17|0|28|190|septicemia 8,afib 3,sepshock 7,gibleed 6,brady -14
rr|618|respiratory rate|respiration|bpm|17.6|5|0|5|55|respfail 2.5,pneumonia 1.5,copd 1,dka 4
sbp|51|arterial bp [systolic]|systemicsystolic|mmhg|122|16|0|45|235|htn 7,sepshock -17,cardshock -18,cirrhosis -6
dbp|8368|arterial bp [diastolic]|systemicdiastolic|mmhg|62|9|0|20|130|htn 2,sepshock -7,cardshock -6
map|52|arterial bp mean|systemicmean|mmhg|0|0|0|25|170|
temp|677|temperature c (calc)|temperature|deg. c|36.8|.58|1|32|41.5|septicemia .5,pneumonia .4,arrest -.9
spo2|834|sao2|sao2|%|97.6|2.3|0|65|100|respfail -.9,pneumonia -.6,copd -.9
"""
_INTAKES = """
ns|30018|.9% normal saline|intake (ml)\\crystalloids (ml)\\ns|80|.8|6
d5w|30013|d5w|intake (ml)\\crystalloids (ml)\\d5w|60|.55|5
lr|30021|lactated ringers|intake (ml)\\crystalloids (ml)\\lr|125|.25|4
d5half|30015|d5/.45ns|intake (ml)\\generic intake (ml)\\d51/2ns ivf|95|.25|4
half|30020|.45% normal saline|intake (ml)\\generic intake (ml)\\0.45% sodium chloride|85|.12|4
po|30056|po intake|intake (ml)\\generic intake (ml)\\p.o.|170|.55|3
tube|30090|tube feeding|intake (ml)\\nutrition (ml)\\enteral/gastric tube intake #1|70|.3|6
tpn|30032|tpn|intake (ml)\\nutrition (ml)\\tpn|75|.08|8
meds|30144|gastric meds|intake (ml)\\crystalloids (ml)\\other meds|80|.25|2
rbc|30001|packed rbc's|intake (ml)\\blood products (ml)\\packed cells|325|.2|.6
ffp|30005|fresh frozen plasma|intake (ml)\\blood products (ml)\\ffp|260|.07|.5
flush|30059|gt flush|intake (ml)\\generic intake (ml)\\flush|35|.2|3
propofol|30131|propofol|intake (ml)\\crystalloids (ml)\\propofol|18|.25|8
insulin|30045|insulin|intake (ml)\\crystalloids (ml)\\insulin|6|.15|8
"""
_OUTPUTS = """
foley|40055|urine out foley|output (ml)\\urine|120|.8|10
void|40069|urine out void|output (ml)\\urine, void|310|.35|3
stool|40054|stool out stool|output (ml)\\stool|240|.35|.9
gastric|40052|gastric gastric tube|output (ml)\\gastric (ng)|150|.2|2
chest1|40076|chest tubes cticu ct 1|output (ml)\\chest tube|35|.12|6
drain1|40071|drain out #1 jackson pratt|output (ml)\\drain #1|90|.08|3
uf|40286|ultrafiltrate ultrafiltrate|output (ml)\\crrt|230|.05|8
emesis|40067|gastric emesis|output (ml)\\emesis|120|.1|.7
ostomy|40060|ostomy output|output (ml)\\ostomy|220|.04|2
"""


def _effects(text: str) -> dict[str, float]:
    return {key: float(size) for key, size in (part.split() for part in text.split(",") if part)}


def _fluids(text: str) -> tuple[Fluid, ...]:
    return tuple(
        Fluid(
            key, int(itemid), label, path.replace("\\", "|"), float(volume), float(share),
            float(per_day),
        )
        for key, itemid, label, path, volume, share, per_day in lines(text)
    )  # fmt: skip


VITALS: tuple[Vital, ...] = tuple(
    Vital(
        key, int(itemid), label, other, unit, float(centre), float(spread), int(decimals),
        float(least), float(most), _effects(effects),
    )
    for key, itemid, label, other, unit, centre, spread, decimals, least, most, effects in lines(
        _VITALS
    )
)  # fmt: skip
INTAKES = _fluids(_INTAKES)
OUTPUTS = _fluids(_OUTPUTS)
WEIGHT = Vital("weight", 762, "daily weight", "", "kg", 81.0, 20.0, 1, 35.0, 230.0, {})
HEIGHT = Vital("height", 920, "admit ht", "", "cm", 169.0, 10.0, 0, 135.0, 210.0, {})
