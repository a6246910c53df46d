# ruff: noqa: E501 — the catalogue is a table, and its rows stay whole
"""Procedures, drugs, cultures and allergies: what is done and given, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

from benchside.hospital.catalogue import lines


@dataclass(frozen=True, slots=True)
class Procedure:
    """An ICD-9-CM procedure; `bedside` is its name among eICU's treatments.

    Args:
        base: chance in a stay without reason; `reasons` multiply its odds by `boost`.
        icu: True where it needs intensive care.
    """

    icd9: str
    short: str
    long: str
    bedside: str
    base: float
    boost: float
    icu: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug as prescribed; `doses` are the usual ones in `unit`.

    Args:
        kind: MAIN, BASE or ADDITIVE, as MIMIC-III types prescriptions.
    """

    name: str
    code: str
    kind: str
    doses: tuple[str, ...]
    unit: str
    route: str
    base: float
    boost: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Culture:
    """A specimen with the organisms that may grow from it; `site` as eICU writes it."""

    specimen: str
    site: str
    base: float
    positive: float
    reasons: tuple[str, ...]
    organisms: tuple[str, ...]


_PROCEDURES = """
3893|venous cath nec|venous catheterization, not elsewhere classified|central venous catheterization|.25|4|1|septicemia sepshock respfail
9904|packed cell transfusion|transfusion of packed cells|blood product administration - packed red blood cells|.12|6|0|bloodloss gibleed anemia
966|entral infus nutrit sub|enteral infusion of concentrated nutritional substances|enteral nutrition|.08|5|1|respfail stroke ich malnutrition
9671|cont inv mec ven <96 hrs|continuous invasive mechanical ventilation for less than 96 consecutive hours|mechanical ventilation|.08|9|1|respfail arrest
9672|cont inv mec ven 96+ hrs|continuous invasive mechanical ventilation for 96 consecutive hours or more|mechanical ventilation - prolonged|.02|14|1|respfail vap
9604|insert endotracheal tube|insertion of endotracheal tube|endotracheal tube insertion|.07|9|1|respfail arrest aspiration
9915|parent infus nutrit sub|parenteral infusion of concentrated nutritional substances|parenteral nutrition|.03|5|0|ileus pancreatitis malnutrition
3891|arterial catheterization|arterial catheterization|arterial line placement|.1|4|1|sepshock respfail cardshock
3995|hemodialysis|hemodialysis|hemodialysis|.01|60|0|esrd atn
3895|ven cath renal dialysis|venous catheterization for renal dialysis|dialysis catheter placement|.01|25|0|esrd atn
8856|coronar arteriogr-2 cath|coronary arteriography using two catheters|coronary angiography|.04|12|0|nstemi cardshock cad
3722|left heart cardiac cath|left heart cardiac catheterization|left heart catheterization|.03|12|0|nstemi cardshock
3723|rt/left heart card cath|combined right and left heart cardiac catheterization|right and left heart catheterization|.01|10|0|cardshock chf aortic
0066|ptca|percutaneous transluminal coronary angioplasty [ptca]|percutaneous coronary intervention|.015|20|0|nstemi
3612|aortocor bypas-2 cor art|(aorto)coronary bypass of two coronary arteries|coronary artery bypass graft - two vessels|.01|10|1|cad
3615|1 int mam-cor art bypass|single internal mammary-coronary artery bypass|coronary artery bypass graft - internal mammary|.015|10|1|cad
3961|extracorporeal circulat|extracorporeal circulation auxiliary to open heart surgery|cardiopulmonary bypass|.02|9|1|cad aortic mitral
8872|dx ultrasound-heart|diagnostic ultrasound of heart|transthoracic echocardiography|.1|4|0|chf afib nstemi septicemia
3491|thoracentesis|thoracentesis|thoracentesis|.02|14|0|effusion
3404|insert intercostal cath|insertion of intercostal catheter for drainage|chest tube placement|.02|14|0|pneumothorax effusion
3324|closed bronchial biopsy|closed [endoscopic] biopsy of bronchus|bronchoscopy with biopsy|.015|8|0|lungca pneumonia
3323|other bronchoscopy|other bronchoscopy|bronchoscopy|.02|7|1|respfail collapse vap
4513|sm bowel endoscopy nec|other endoscopy of small intestine|upper endoscopy|.02|20|0|gibleed ulcer
4443|endosc control gast hem|endoscopic control of gastric or duodenal bleeding|endoscopic control of bleeding|.005|30|0|ulcer gibleed
4523|colonoscopy|colonoscopy|colonoscopy|.02|6|0|gibleed anemia
5491|percu abdominal drainage|percutaneous abdominal drainage|paracentesis|.01|30|0|ascites cirrhosis
331|spinal tap|spinal tap|lumbar puncture|.02|8|0|enceph seizure sah
8703|c.a.t. scan of head|computerized axial tomography of head|head ct scan|.08|8|0|stroke ich sah subdural seizure enceph
0131|incise cerebral meninges|incision of cerebral meninges|subdural evacuation|.003|60|1|subdural
9390|non-invasive mech vent|non-invasive mechanical ventilation|non-invasive ventilation|.04|7|1|copd chf osa
9907|serum transfusion nec|transfusion of other serum|blood product administration - fresh frozen plasma|.03|8|0|coagdefect cirrhosis bloodloss
9905|platelet transfusion|transfusion of platelets|blood product administration - platelets|.02|9|0|thrombopenia
9962|heart countershock nec|other electric countershock of heart|cardioversion|.02|7|1|vtach arrest afib
9960|cardiopulm resuscita nos|cardiopulmonary resuscitation, not otherwise specified|cardiopulmonary resuscitation|.005|60|1|arrest
311|temporary tracheostomy|temporary tracheostomy|tracheostomy|.01|9|1|respfail vap
4311|percu endosc gastrostomy|percutaneous [endoscopic] gastrostomy [peg]|percutaneous gastrostomy|.015|7|0|stroke ich malnutrition
387|interruption vena cava|interruption of the vena cava|ivc filter placement|.01|12|0|pe dvt
3783|insert dual-chamber dev|initial insertion of dual-chamber device|pacemaker insertion|.01|12|0|brady
7935|op red-int fix femur|open reduction of fracture with internal fixation, femur|open reduction internal fixation|.004|90|0|hipfx
5123|laparoscopic cholecystec|laparoscopic cholecystectomy|laparoscopic cholecystectomy|.01|10|0|cholangitis pancreatitis
5110|endosc retro cholangiopa|endoscopic retrograde cholangiopancreatography [ercp]|ercp|.006|50|0|cholangitis
8622|wound debridement|excisional debridement of wound, infection, or burn|wound debridement|.015|9|0|cellulitis pressulcer
8964|pulmon art wedge monitor|pulmonary artery wedge monitoring|pulmonary artery catheterization|.02|9|1|cardshock sepshock
0017|infusion of vasopressor|infusion of vasopressor agent|vasopressors - norepinephrine|.03|25|1|sepshock cardshock
"""
_DRUGS = """
potassium chloride|kcl20|MAIN|20 40|meq|po|.4|2|hypok chf
furosemide|furo40i|MAIN|20 40 80|mg|iv|.25|7|chf pulmhtn
furosemide (oral)|furo20|MAIN|20 40|mg|po|.12|5|chf
insulin|insulin|MAIN|2 4 6 8 10|unit|sc|.3|8|dm2 dm2neuro dka insulin
heparin|hepa5i|MAIN|5000|unit|sc|.5|1.3|dvt pe
heparin sodium|hepapremix|MAIN|25000|unit|iv drip|.08|8|nstemi pe dvt
enoxaparin sodium|enox40i|MAIN|40 60 80|mg|sc|.08|5|pe dvt
warfarin|warf2|MAIN|1 2 5|mg|po|.06|12|anticoag pe dvt
aspirin|asa81|MAIN|81 325|mg|po|.3|4|cad nstemi cabg ptca
clopidogrel bisulfate|clop75|MAIN|75|mg|po|.06|8|nstemi ptca
metoprolol tartrate|meto25|MAIN|12.5 25 50|mg|po|.25|4|afib htn nstemi cad
metoprolol (iv)|metoi|MAIN|5|mg|iv|.12|4|afib
lisinopril|lisi5|MAIN|5 10 20|mg|po|.12|3|htn chf
amlodipine|amlo5|MAIN|5 10|mg|po|.07|4|htn
diltiazem|dilt30|MAIN|30 60|mg|po|.04|5|afib
amiodarone|amio200|MAIN|200 400|mg|po|.05|7|afib vtach
digoxin|dig125|MAIN|0.125 0.25|mg|po|.03|5|afib chf
simvastatin|simv10|MAIN|20 40|mg|po|.12|4|lipid hchol cad
atorvastatin|ator10|MAIN|10 20 80|mg|po|.1|4|lipid hchol nstemi
hydralazine|hydr20i|MAIN|10 20|mg|iv|.07|3|htn hyckd
nitroglycerin|ntgpremix|MAIN|50|mg|iv drip|.05|6|nstemi chf
norepinephrine|nore4i|MAIN|4 8|mg|iv drip|.04|20|sepshock cardshock
phenylephrine|phen10i|MAIN|20 40 60|mg|iv drip|.05|8|sepshock
vasopressin|vaso20i|MAIN|40 100|unit|iv drip|.01|15|sepshock
dopamine|dopapremix|MAIN|400|mg|iv drip|.02|10|cardshock brady
propofol|prop100ig|MAIN|1000|mg|iv drip|.1|9|respfail arrest
midazolam|mida2i|MAIN|1 2 4|mg|iv|.12|6|respfail seizure
fentanyl citrate|fent2i|MAIN|25 50 100|mcg|iv|.2|4|respfail
morphine sulfate|morp2i|MAIN|2 4|mg|iv|.25|2|nstemi livermets bonemets
hydromorphone|hydr2i|MAIN|0.5 1 2|mg|iv|.12|2|pancreatitis bonemets
oxycodone-acetaminophen|percocet|MAIN|1 2|tab|po|.15|2|hipfx bonemets
acetaminophen|acet325|MAIN|325 650 1000|mg|po|.5|1.2|hipfx
lorazepam|lora2i|MAIN|0.5 1 2|mg|iv|.15|5|withdrawal seizure
haloperidol|hald5i|MAIN|1 2.5 5|mg|iv|.06|6|delirium
quetiapine fumarate|quet25|MAIN|25 50|mg|po|.04|6|delirium dementia
phenytoin|phen100|MAIN|100 300|mg|po|.03|20|seizure sah
levetiracetam|leve500|MAIN|500 1000|mg|iv|.03|20|seizure subdural ich
vancomycin|vanco1f|MAIN|500 1000 1250|mg|iv|.2|6|septicemia mrsa pneumonia bacteremia cellulitis
piperacillin-tazobactam na|zosyn4|MAIN|2.25 4.5|g|iv|.1|6|septicemia pneumonia aspiration
cefepime|cefe2i|MAIN|1 2|g|iv|.06|6|pneumonia septicemia neutropenia
ceftriaxone|ceft1i|MAIN|1 2|gm|iv|.08|5|pneumonia uti
ciprofloxacin|cipr500|MAIN|250 400 500|mg|po|.07|6|uti cholangitis
levofloxacin|levo500|MAIN|250 500 750|mg|po|.08|6|pneumonia copd
metronidazole|metr500|MAIN|500|mg|iv|.07|9|cdiff aspiration cholangitis
meropenem|mero500|MAIN|500 1000|mg|iv|.04|5|septicemia vap
azithromycin|azit250|MAIN|250 500|mg|po|.04|5|pneumonia copd
fluconazole|fluc200|MAIN|100 200 400|mg|po|.03|10|candida
pantoprazole|pant40|MAIN|40|mg|po|.4|2|gerd gibleed ulcer
pantoprazole sodium|pant40i|MAIN|40 80|mg|iv|.12|8|gibleed ulcer
famotidine|famo20|MAIN|20|mg|po|.15|1.5|gerd
ondansetron|onda4i|MAIN|4|mg|iv|.25|2|pancreatitis ileus
docusate sodium|docu100|MAIN|100|mg|po|.4|2|constipation
senna|senn187|MAIN|1 2|tab|po|.35|2|constipation
bisacodyl|bisa10r|MAIN|10|mg|pr|.2|3|constipation
lactulose|lact30l|MAIN|15 30|ml|po|.05|15|cirrhosis hepfail
spironolactone|spir25|MAIN|25 50|mg|po|.03|9|cirrhosis chf ascites
levothyroxine sodium|levo50|MAIN|50 75 100|mcg|po|.03|40|hypothyroid
prednisone|pred20|MAIN|10 20 40 60|mg|po|.06|8|copd asthma
methylprednisolone|meth40i|MAIN|40 60 125|mg|iv|.05|8|copd asthma
hydrocortisone na succ.|hcs100i|MAIN|50 100|mg|iv|.03|9|sepshock
albuterol 0.083% neb soln|albu3h|MAIN|1|neb|ih|.2|6|copd asthma respfail
ipratropium bromide neb|ipra2h|MAIN|1|neb|ih|.18|6|copd asthma respfail
magnesium sulfate|mag2pm|MAIN|2 4|gm|iv|.35|1.5|vtach hypok
calcium gluconate|calg2i|MAIN|1 2|gm|iv|.2|2|hyperk pancreatitis
potassium phosphate|kphos|MAIN|15 30|mmol|iv|.08|2|malnutrition dka
neutra-phos|neut|MAIN|1 2|pkt|po|.1|2|malnutrition
sodium bicarbonate|nabc50|MAIN|50 150|meq|iv|.05|9|acidosis atn
sodium polystyrene sulfonate|kaye15l|MAIN|15 30|g|po|.02|20|hyperk
sevelamer|seve800|MAIN|800 1600|mg|po|.01|30|esrd
epoetin alfa|epo10i|MAIN|4000 10000|unit|sc|.01|20|esrd ckd
gabapentin|gaba300|MAIN|100 300 600|mg|po|.05|6|dm2neuro
citalopram|cita20|MAIN|10 20 40|mg|po|.04|10|depression
sertraline|sert50|MAIN|25 50 100|mg|po|.03|10|depression
allopurinol|allo100|MAIN|100 300|mg|po|.02|25|gout
thiamine|thia100|MAIN|100|mg|po|.04|14|alcohol withdrawal
folic acid|foli1|MAIN|1|mg|po|.06|8|alcohol anemia
ferrous sulfate|fer325|MAIN|325|mg|po|.06|5|anemia
multivitamins|mvi|MAIN|1|tab|po|.12|4|alcohol malnutrition
metformin|metf500|MAIN|500 850 1000|mg|po|.02|9|dm2
glyburide|glyb5|MAIN|2.5 5 10|mg|po|.02|8|dm2
tamsulosin|tams4|MAIN|0.4|mg|po|.03|8|prostatehx
nicotine patch|nico21|MAIN|14 21|mg|td|.03|12|tobacco
0.9% sodium chloride|ns500|BASE|100 250 500 1000|ml|iv|.6|1.5|hypovolemia septicemia
iso-osmotic dextrose|vancobase|BASE|100 200|ml|iv|.25|3|septicemia pneumonia
d5w|d5w100|BASE|50 100 250|ml|iv|.35|2|hyperna septicemia
lactated ringers|lr1000|BASE|500 1000|ml|iv|.2|2|pancreatitis hypovolemia
d5 1/2ns|d545ns1000|BASE|1000|ml|iv|.12|2|hypovolemia
sw|stw500|BASE|10 100|ml|iv|.1|2|pneumonia
sodium chloride 0.9%  flush|nacflush|BASE|3 10|ml|iv|.55|1|respfail
dextrose 50%|dex50sy|ADDITIVE|12.5 25|gm|iv|.2|5|dm2 dm2neuro insulin
potassium chl 20 meq / 1000 ml ns|kcl20p|ADDITIVE|1000|ml|iv|.06|4|dka hypok
"""
_CULTURES = """
blood culture|blood, venipuncture|.35|.22|septicemia sepshock bacteremia pneumonia|staph aureus coag +;staphylococcus, coagulase negative;escherichia coli;klebsiella pneumoniae;enterococcus faecalis;streptococcus pneumoniae
urine|urine, catheter specimen|.35|.5|uti septicemia candida|escherichia coli;klebsiella pneumoniae;proteus mirabilis;enterococcus sp.;pseudomonas aeruginosa;yeast
sputum|sputum, expectorated|.1|.7|pneumonia respfail vap|staph aureus coag +;pseudomonas aeruginosa;klebsiella pneumoniae;haemophilus influenzae, beta-lactamase negative;yeast;acinetobacter baumannii complex
mrsa screen|nasopharynx|.3|.2|mrsa respfail|positive for methicillin resistant staph aureus
stool|stool|.06|.15|cdiff gibleed|clostridium difficile
swab|skin|.06|.8|cellulitis pressulcer mrsa|staph aureus coag +;staphylococcus, coagulase negative;pseudomonas aeruginosa;proteus mirabilis
bronchoalveolar lavage|bronchial lavage|.015|.75|vap respfail|pseudomonas aeruginosa;stenotrophomonas (xanthomonas) maltophilia;staph aureus coag +;aspergillus fumigatus
catheter tip-iv|catheter tip|.03|.2|bacteremia|staphylococcus, coagulase negative;staph aureus coag +
pleural fluid|pleural fluid|.01|.15|effusion|streptococcus pneumoniae;staph aureus coag +
peritoneal fluid|peritoneal fluid|.008|.25|ascites|escherichia coli;klebsiella oxytoca;enterococcus faecium
tissue|wound, surgical|.01|.7|cellulitis pressulcer|staph aureus coag +;enterococcus sp.;bacteroides fragilis group
bile|bile|.004|.85|cholangitis|escherichia coli;klebsiella pneumoniae;enterococcus sp.
csf;spinal fluid|csf|.01|.1|enceph sah|streptococcus pneumoniae;staphylococcus, coagulase negative
"""
PROCEDURES: tuple[Procedure, ...] = tuple(
    Procedure(icd9, short, long, bedside, float(base), float(boost), icu == "1", tuple(why.split()))
    for icd9, short, long, bedside, base, boost, icu, why in lines(_PROCEDURES)
)
DRUGS: tuple[Drug, ...] = tuple(
    Drug(
        name, code.upper(), kind, tuple(doses.split()), unit, route, float(base), float(boost),
        tuple(why.split()),
    )
    for name, code, kind, doses, unit, route, base, boost, why in lines(_DRUGS)
)  # fmt: skip
CULTURES: tuple[Culture, ...] = tuple(
    Culture(
        specimen, site, float(base), float(positive), tuple(why.split()),
        tuple(organisms.split(";")),
    )
    for specimen, site, base, positive, why, organisms in lines(_CULTURES)
)  # fmt: skip
ALLERGIES: tuple[tuple[str, float], ...] = (
    ("penicillins", 0.11), ("sulfa drugs", 0.08), ("codeine phosphate", 0.05),
    ("morphine sulfate", 0.035), ("levofloxacin", 0.03), ("aspirin", 0.03),
    ("iodine contrast media", 0.03), ("vancomycin", 0.02), ("cephalexin", 0.02),
    ("lisinopril", 0.02), ("metoclopramide", 0.012), ("latex", 0.02), ("shellfish", 0.012),
    ("erythromycin", 0.02), ("oxycodone", 0.015), ("tetracycline", 0.01), ("haloperidol", 0.01),
    ("simvastatin", 0.012), ("ibuprofen", 0.015), ("heparin", 0.008),
)  # fmt: skip
