# ruff: noqa: E501 — the catalogue is a table, and its rows stay whole
"""Laboratory items: typical values of hospital patients, their spread, and what illness does to them.

`centre` and `spread` describe a stay without the listed conditions; on the log scale where `log`.
`effects` are shifts at the height of an illness, in the item's unit, or factors where `log`. Items
that follow from others by arithmetic (hematocrit, red-cell indices, anion gap, pH) are computed in
`measurements`. Reference limits `low` and `high` are those of adults.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchside.hospital.catalogue import lines


@dataclass(frozen=True, slots=True)
class LabItem:
    """One laboratory test.

    Args:
        itemid, label: as in MIMIC-III's d_labitems; `other` is the name in eICU, "" if not there.
        panel: the items that are ordered together.
        decimals: of a reported value.
        least, most: limits of what the analyser reports.
    """

    key: str
    itemid: int
    label: str
    other: str
    unit: str
    panel: str
    fluid: str
    section: str
    log: bool
    centre: float
    spread: float
    decimals: int
    least: float
    most: float
    low: float
    high: float
    effects: dict[str, float]


_TEXT = """
hgb|51222|hemoglobin|hgb|g/dl|cbc|Blood|Hematology||10.9|1.6|1|3.5|19|12|16|anemia -1.2,bloodloss -1.6,gibleed -1.4,ckd -.6,livermets -.5
hct|51221|hematocrit|hct|%|cbc|Blood|Hematology|=|0|0|1|10|58|36|48|
mcv|51250|mcv|mcv|fl|cbc|Blood|Hematology||88.5|6|0|62|125|82|98|alcohol 4,cirrhosis 4
rbc|51279|red blood cells|rbc|m/ul|cbc|Blood|Hematology|=|0|0|2|1|7|4.2|5.4|
mch|51248|mch|mch|pg|cbc|Blood|Hematology|=|0|0|1|15|45|27|32|
mchc|51249|mchc|mchc|%|cbc|Blood|Hematology|=|0|0|1|25|40|31|35|
rdw|51277|rdw|rdw|%|cbc|Blood|Hematology||14.9|1.4|1|11|28|10.5|15.5|anemia 1,cirrhosis 1.5,livermets 1
wbc|51301|white blood cells|wbc x 1000|k/ul|cbc|Blood|Hematology|log|9|.34|1|.1|120|4|11|septicemia 1.5,pneumonia 1.25,cdiff 1.5,neutropenia .2,cirrhosis .85,uti 1.1
plt|51265|platelet count|platelets x 1000|k/ul|cbc|Blood|Hematology|log|222|.38|0|4|1100|150|440|thrombopenia .42,cirrhosis .6,sevsepsis .8,bacteremia .9
na|50983|sodium|sodium|meq/l|chem|Blood|Chemistry||138.8|3.4|0|110|172|133|145|hypona -7,hyperna 9,chf -.8,cirrhosis -2
k|50971|potassium|potassium|meq/l|chem|Blood|Chemistry||3.98|.48|1|2|8|3.3|5.1|hyperk 1.1,hypok -.75,aki .25,esrd .4
cl|50902|chloride|chloride|meq/l|chem|Blood|Chemistry||104.2|2.6|0|75|135|96|108|hypona -1,hyperna 2
hco3|50882|bicarbonate|bicarbonate|meq/l|chem|Blood|Chemistry||25.4|3.4|0|5|48|22|32|acidosis -6,dka -8,copd 3,esrd -2,sepshock -2
ag|50868|anion gap|anion gap|meq/l|chem|Blood|Chemistry|=|0|0|0|2|45|8|20|
bun|51006|urea nitrogen|bun|mg/dl|chem|Blood|Chemistry|log|17.5|.42|0|2|240|6|20|aki 2,ckd 1.6,esrd 2.2,gibleed 1.4,chf 1.2
creat|50912|creatinine|creatinine|mg/dl|chem|Blood|Chemistry|log|.82|.36|1|.2|16|.4|1.2|aki 2.1,atn 1.5,ckd 1.7,esrd 5,hyckd 1.3
glucose|50931|glucose|glucose|mg/dl|chem|Blood|Chemistry|log|113|.29|0|22|1100|70|105|dm2 1.3,dm2neuro 1.35,dka 2.6,insulin 1.2,septicemia 1.08
mg|50960|magnesium|magnesium|mg/dl|chem|Blood|Chemistry||2.02|.29|1|.6|5.5|1.6|2.6|esrd .3,alcohol -.2
phos|50970|phosphate|phosphate|mg/dl|chem|Blood|Chemistry|log|3.05|.31|1|.4|14|2.7|4.5|aki 1.3,esrd 1.6
ca|50893|calcium, total|calcium|mg/dl|chem|Blood|Chemistry||8.45|.6|1|4.8|14|8.4|10.3|esrd .2,sevsepsis -.4,pancreatitis -.6
ptt|51275|ptt|ptt|sec|coag|Blood|Hematology|log|33|.3|1|18|150|22|35|anticoag 1.35,coagdefect 1.4,dvt 1.5,pe 1.5,nstemi 1.3
pt|51274|pt|pt|sec|coag|Blood|Hematology|log|14.2|.15|1|10|100|10.4|13.4|anticoag 1.5,cirrhosis 1.35,coagdefect 1.5,hepfail 1.8
inr|51237|inr(pt)|pt - inr|ratio|coag|Blood|Hematology|=|0|0|1|.8|18|.9|1.1|
ast|50878|asparate aminotransferase (ast)|ast (sgot)|iu/l|liver|Blood|Chemistry|log|29|.7|0|6|14000|0|40|hepfail 20,cirrhosis 1.7,nstemi 1.8,cholangitis 2.5,sepshock 1.8,rhabdo 4
alt|50861|alanine aminotransferase (alt)|alt (sgpt)|iu/l|liver|Blood|Chemistry|log|26|.75|0|4|9000|0|40|hepfail 20,hepc 1.6,cholangitis 2.5,sepshock 1.5
alp|50863|alkaline phosphatase|alkaline phos.|iu/l|liver|Blood|Chemistry|log|82|.45|0|20|2000|40|130|livermets 2,cholangitis 2.3,cirrhosis 1.3,bonemets 1.5
bili|50885|bilirubin, total|total bilirubin|mg/dl|liver|Blood|Chemistry|log|.55|.6|1|.1|48|0|1.5|cirrhosis 3,hepfail 5,cholangitis 5,livermets 1.5,septicemia 1.2
albumin|50862|albumin|albumin|g/dl|liver|Blood|Chemistry||3.0|.55|1|1|5.4|3.5|5.2|malnutrition -.5,cirrhosis -.5,septicemia -.4,pressulcer -.3
ld|50954|lactate dehydrogenase (ld)|ldh|iu/l|liver|Blood|Chemistry|log|260|.45|0|80|9000|94|250|hepfail 4,livermets 1.8,rhabdo 2
lactate|50813|lactate|lactate|mmol/l|gas|Blood|Blood Gas|log|1.4|.5|1|.4|28|.5|2|sepshock 2.1,cardshock 2.2,arrest 3,hepfail 2,sevsepsis 1.3
pco2|50818|pco2|paco2|mm hg|gas|Blood|Blood Gas|log|38|.19|0|14|130|35|45|copd 1.2,respfail 1.06,dka .75,osa 1.1
ph|50820|ph|ph|units|gas|Blood|Blood Gas|=|0|0|2|6.75|7.7|7.35|7.45|
po2|50821|po2|pao2|mm hg|gas|Blood|Blood Gas|log|110|.42|0|24|560|85|105|respfail .85,pneumonia .88,pe .85
tco2|50804|calculated total co2|total co2|meq/l|gas|Blood|Blood Gas|=|0|0|0|4|52|21|30|
be|50802|base excess|base excess|meq/l|gas|Blood|Blood Gas|=|0|0|0|-30|25|-2|2|
ica|50808|free calcium|ionized calcium|mmol/l|gas|Blood|Blood Gas||1.13|.09|2|.5|1.7|1.12|1.32|sevsepsis -.05
neut|51256|neutrophils|-polys|%|diff|Blood|Hematology||76|10|1|3|99|50|70|septicemia 9,pneumonia 5,neutropenia -45
lymph|51244|lymphocytes|-lymphs|%|diff|Blood|Hematology|=|0|0|1|0|90|18|42|
mono|51254|monocytes|-monos|%|diff|Blood|Hematology|log|5.5|.5|1|0|40|2|11|
eos|51200|eosinophils|-eos|%|diff|Blood|Hematology|log|.7|1.2|1|0|25|0|4|asthma 1.8
baso|51146|basophils|-basos|%|diff|Blood|Hematology|log|.17|.9|1|0|4|0|2|
tropt|51003|troponin t|troponin - t|ng/ml|cardiac|Blood|Chemistry|log|.04|.8|2|.01|20|0|.01|nstemi 18,arrest 5,cardshock 5,esrd 2.5,chf 1.5
ck|50910|creatine kinase (ck)|cpk|iu/l|cardiac|Blood|Chemistry|log|110|.7|0|10|60000|38|174|nstemi 4,rhabdo 60,arrest 4
ckmb|50911|creatine kinase, mb isoenzyme|cpk-mb|ng/ml|cardiac|Blood|Chemistry|log|3.6|.5|0|1|400|0|10|nstemi 8,arrest 3
bnp|50963|ntprobnp|bnp|pg/ml|cardiac|Blood|Chemistry|log|900|.9|0|20|70000|0|229|chf 4.5,esrd 4,ckd 1.8,cardshock 2
vanco|51009|vancomycin|vancomycin - trough|ug/ml|level|Blood|Chemistry|log|15|.38|1|2|60|10|20|aki 1.3,esrd 1.3
urph|51491|ph (urine)|urinary ph|units|urine|Urine|Hematology||5.8|.75|1|5|9|5|8|uti .4
ursg|51498|specific gravity|urinary specific gravity|  |urine|Urine|Hematology||1.016|.007|3|1.001|1.05|1.001|1.035|
iron|50952|iron|fe|ug/dl|iron|Blood|Chemistry|log|42|.55|0|6|300|30|160|anemia .7
ferritin|50924|ferritin|ferritin|ng/ml|iron|Blood|Chemistry|log|260|.9|0|5|9000|13|150|hepfail 5,cirrhosis 1.5,septicemia 1.6
tsh|50993|thyroid stimulating hormone|tsh|uiu/ml|endo|Blood|Chemistry|log|1.9|.7|1|.1|60|.27|4.2|hypothyroid 2.2
a1c|50852|% hemoglobin a1c|hgba1c|%|endo|Blood|Chemistry||5.8|.5|1|4|15|4|6|dm2 1.4,dm2neuro 2,dka 4
"""


def _effects(text: str) -> dict[str, float]:
    pairs = (part.split() for part in text.split(",") if part)
    return {key: float(size) for key, size in pairs}


LABS: tuple[LabItem, ...] = tuple(
    LabItem(
        key, int(itemid), label, other, unit, panel, fluid, section, scale == "log",
        float(centre), float(spread), int(decimals), float(least), float(most), float(low),
        float(high), _effects(effects),
    )
    for (
        key, itemid, label, other, unit, panel, fluid, section, scale, centre, spread, decimals,
        least, most, low, high, effects,
    ) in lines(_TEXT)
)  # fmt: skip
LAB: dict[str, LabItem] = {item.key: item for item in LABS}

# Panel → chance that a blood draw has it: on a ward, in intensive care; and who gets it more often.
PANELS: dict[str, tuple[float, float]] = {
    "cbc": (0.9, 0.95), "chem": (0.95, 0.98), "coag": (0.35, 0.6), "liver": (0.12, 0.25),
    "gas": (0.02, 0.6), "diff": (0.15, 0.25), "cardiac": (0.05, 0.1), "level": (0.02, 0.05),
    "urine": (0.08, 0.15), "iron": (0.03, 0.02), "endo": (0.03, 0.03),
}  # fmt: skip
PANEL_REASONS: dict[str, tuple[str, ...]] = {
    "gas": ("respfail", "sepshock", "copd"),
    "liver": ("cirrhosis", "hepfail", "cholangitis", "hepc", "livermets"),
    "cardiac": ("nstemi", "chf", "arrest", "cardshock"),
    "level": ("mrsa", "septicemia", "bacteremia"),
    "urine": ("uti", "aki"),
    "iron": ("anemia", "ckd"),
    "endo": ("hypothyroid", "dm2", "dka"),
}
