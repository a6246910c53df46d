# ruff: noqa: E501 — the catalogue is a table, and its rows stay whole
"""Conditions: what patients are ill with, with ICD-9-CM codes and how common they are.

`prevalence` is per hospital stay of a patient of 65 of average severity; `per_decade` is the change
of its log odds with age, `per_severity` that with one standard deviation of severity. Conditions of
one `system` cluster in the same patients. Chronic ones stay with a patient for all stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchside.hospital.catalogue import lines


@dataclass(frozen=True, slots=True)
class Condition:
    """One diagnosis.

    Args:
        icd9, icd10: codes; icd9 without its point, as MIMIC-III writes it.
        short, long: titles as the ICD-9-CM tables write them, in lower case.
        bedside: the name that an ICU physician would pick from a list, as in eICU.
    """

    key: str
    icd9: str
    icd10: str
    system: str
    chronic: bool
    prevalence: float
    per_decade: float
    per_severity: float
    short: str
    long: str
    bedside: str

    @property
    def dotted(self) -> str:
        """The ICD-9 code with its point, such as 518.81."""
        head = 4 if self.icd9.startswith("e") else 3
        return self.icd9 if len(self.icd9) <= head else f"{self.icd9[:head]}.{self.icd9[head:]}"


_TEXT = """
htn|4019|i10|heart|c|.44|.25|-.1|hypertension nos|unspecified essential hypertension|hypertension
afib|42731|i48.0|heart|c|.28|.45|.2|atrial fibrillation|atrial fibrillation|atrial fibrillation
chf|4280|i50.9|heart|c|.27|.35|.3|chf nos|congestive heart failure, unspecified|congestive heart failure
cad|41401|i25.10|heart|c|.24|.3|0|crnry athrscl natve vssl|coronary atherosclerosis of native coronary artery|coronary artery disease
mitral|4240|i34.0|heart|c|.07|.2|.1|mitral valve disorder|mitral valve disorders|valvular heart disease - mitral
aortic|4241|i35.0|heart|c|.06|.4|.1|aortic valve disorder|aortic valve disorders|valvular heart disease - aortic
nstemi|41071|i21.4|heart|a|.07|.2|.3|subendo infarct, initial|subendocardial infarction, initial episode of care|acute myocardial infarction (no st elevation)
cardshock|78551|r57.0|heart|a|.035|.1|.9|cardiogenic shock|cardiogenic shock|cardiogenic shock
vtach|4271|i47.2|heart|a|.035|.1|.4|parox ventric tachycard|paroxysmal ventricular tachycardia|ventricular tachycardia
arrest|4275|i46.9|heart|a|.03|.05|1.2|cardiac arrest|cardiac arrest|cardiac arrest
cabg|v4581|z95.1|heart|c|.08|.25|0|aortocoronary bypass|aortocoronary bypass status|s/p coronary artery bypass graft
ptca|v4582|z98.61|heart|c|.07|.2|0|status-post ptca|percutaneous transluminal coronary angioplasty status|s/p percutaneous coronary intervention
pvd|4439|i73.9|heart|c|.07|.25|.1|periph vascular dis nos|peripheral vascular disease, unspecified|peripheral vascular disease
tricuspid|3970|i07.1|heart|c|.04|.2|.1|tricuspid valve disease|diseases of tricuspid valve|valvular heart disease - tricuspid
pulmhtn|4168|i27.2|heart|c|.06|.1|.2|chr pulmon heart dis nec|other chronic pulmonary heart diseases|pulmonary hypertension
brady|42789|i49.8|heart|a|.05|.25|.2|cardiac dysrhythmias nec|other specified cardiac dysrhythmias|bradycardia
aki|5849|n17.9|kidney|a|.23|.12|.8|acute kidney failure nos|acute kidney failure, unspecified|acute renal failure
atn|5845|n17.0|kidney|a|.05|.05|1|ac kidny fail, tubr necr|acute kidney failure with lesion of tubular necrosis|acute renal failure - due to atn
ckd|5859|n18.9|kidney|c|.11|.25|.2|chronic kidney dis nos|chronic kidney disease, unspecified|chronic renal insufficiency
esrd|5856|n18.6|kidney|c|.045|-.05|.2|end stage renal disease|end stage renal disease|end stage renal disease
hyckd|40390|i12.9|kidney|c|.08|.2|.1|hy kid nos w cr kid i-iv|hypertensive chronic kidney disease, unspecified, with chronic kidney disease stage i through stage iv, or unspecified|hypertensive kidney disease
hypona|2761|e87.1|kidney|a|.09|.05|.4|hyposmolality|hyposmolality and/or hyponatremia|hyponatremia
hyperna|2760|e87.0|kidney|a|.05|.05|.6|hyperosmolality|hyperosmolality and/or hypernatremia|hypernatremia
hyperk|2767|e87.5|kidney|a|.05|.05|.5|hyperpotassemia|hyperpotassemia|hyperkalemia
hypok|2768|e87.6|kidney|a|.05|0|.2|hypopotassemia|hypopotassemia|hypokalemia
acidosis|2762|e87.2|kidney|a|.11|0|.9|acidosis|acidosis|metabolic acidosis
uti|5990|n39.0|infection|a|.14|.2|.2|urin tract infection nos|urinary tract infection, site not specified|lower urinary tract infection
pneumonia|486|j18.9|infection|a|.15|.1|.5|pneumonia, organism nos|pneumonia, organism unspecified|pneumonia
septicemia|0389|a41.9|infection|a|.11|.1|.9|septicemia nos|unspecified septicemia|sepsis
sevsepsis|99592|r65.20|infection|a|.1|.1|1.1|severe sepsis|severe sepsis|sepsis - severe
sepshock|78552|r65.21|infection|a|.07|.1|1.3|septic shock|septic shock|septic shock
bacteremia|7907|r78.81|infection|a|.04|.05|.4|bacteremia|bacteremia|bacteremia
cdiff|00845|a04.7|infection|a|.03|.15|.3|int inf clstrdium dfcile|intestinal infection due to clostridium difficile|c. difficile colitis
mrsa|04112|b95.62|infection|a|.03|.05|.4|mrsa elsewhere/nos|methicillin resistant staphylococcus aureus in conditions classified elsewhere and of unspecified site|mrsa infection
cellulitis|6826|l03.116|infection|a|.035|0|.1|cellulitis of leg|cellulitis and abscess of leg, except foot|cellulitis
candida|1122|b37.4|infection|a|.02|.1|.4|candidias urogenital nec|candidiasis of other urogenital sites|fungal urinary infection
respfail|51881|j96.00|lung|a|.2|.05|1.1|acute respiratry failure|acute respiratory failure|acute respiratory failure
copd|496|j44.9|lung|c|.13|.2|.2|chr airway obstruct nec|chronic airway obstruction, not elsewhere classified|copd
aspiration|5070|j69.0|lung|a|.06|.15|.7|food/vomit pneumonitis|pneumonitis due to inhalation of food or vomitus|aspiration pneumonia
effusion|5119|j90|lung|a|.07|.1|.4|pleural effusion nos|unspecified pleural effusion|pleural effusion
collapse|5180|j98.1|lung|a|.05|.05|.3|pulmonary collapse|pulmonary collapse|atelectasis
asthma|49390|j45.909|lung|c|.055|-.2|0|asthma nos|asthma, unspecified type, unspecified|asthma
osa|32723|g47.33|lung|c|.05|-.05|0|obstructive sleep apnea|obstructive sleep apnea (adult)(pediatric)|obstructive sleep apnea
pe|41519|i26.99|lung|a|.025|.05|.4|pulm embol/infarct nec|other pulmonary embolism and infarction|pulmonary embolism
pneumothorax|5121|j95.811|lung|a|.02|0|.4|iatrogenic pneumothorax|iatrogenic pneumothorax|pneumothorax
vap|99731|j95.851|lung|a|.02|0|.9|ventltr assoc pneumonia|ventilator associated pneumonia|ventilator-associated pneumonia
dm2|25000|e11.9|metabolic|c|.2|.1|0|dmii wo cmp nt st uncntr|diabetes mellitus without mention of complication, type ii or unspecified type, not stated as uncontrolled|diabetes mellitus - type ii
dm2neuro|25060|e11.40|metabolic|c|.06|.05|.1|dmii neuro nt st uncntrl|diabetes with neurological manifestations, type ii or unspecified type, not stated as uncontrolled|diabetic neuropathy
dka|25010|e11.10|metabolic|a|.02|-.4|.3|dmii keto nt st uncntrld|diabetes with ketoacidosis, type ii or unspecified type, not stated as uncontrolled|dka
insulin|v5867|z79.4|metabolic|c|.06|0|0|long-term use of insulin|long-term (current) use of insulin|long-term insulin use
lipid|2724|e78.5|metabolic|c|.22|.1|-.2|hyperlipidemia nec/nos|other and unspecified hyperlipidemia|hyperlipidemia
hchol|2720|e78.0|metabolic|c|.09|.1|-.2|pure hypercholesterolem|pure hypercholesterolemia|hypercholesterolemia
hypothyroid|2449|e03.9|metabolic|c|.1|.15|0|hypothyroidism nos|unspecified acquired hypothyroidism|hypothyroidism
obesity|27800|e66.9|metabolic|c|.07|-.25|0|obesity nos|obesity, unspecified|obesity
malnutrition|2639|e46|metabolic|a|.04|.15|.6|protein-cal malnutr nos|unspecified protein-calorie malnutrition|protein-calorie malnutrition
gout|2749|m10.9|metabolic|c|.05|.2|0|gout nos|gout, unspecified|gout
hypovolemia|27652|e86.1|metabolic|a|.05|.1|.3|hypovolemia|hypovolemia|hypovolemia
cirrhosis|5712|k70.30|liver|c|.045|-.3|.4|alcohol cirrhosis liver|alcoholic cirrhosis of liver|cirrhosis
hepfail|570|k72.00|liver|a|.025|-.1|1.1|acute necrosis of liver|acute and subacute necrosis of liver|acute hepatic failure
hepc|07054|b18.2|liver|c|.04|-.3|.1|chrnc hpt c wo hpat coma|chronic hepatitis c without mention of hepatic coma|hepatitis c
ascites|78959|r18.8|liver|a|.035|-.1|.5|ascites nec|other ascites|ascites
coagdefect|2869|d68.9|liver|a|.03|0|.8|coagulat defect nec/nos|other and unspecified coagulation defects|coagulopathy
alcohol|30500|f10.10|liver|c|.05|-.4|.1|alcohol abuse-unspec|alcohol abuse, unspecified|alcohol abuse
withdrawal|29181|f10.239|liver|a|.02|-.4|.2|alcohol withdrawal|alcohol withdrawal|drug withdrawal syndrome - alcohol
anemia|2859|d64.9|blood|a|.15|.1|.3|anemia nos|anemia, unspecified|anemia
bloodloss|2851|d62|blood|a|.1|.05|.4|ac posthemorrhag anemia|acute posthemorrhagic anemia|acute blood loss anemia
thrombopenia|2875|d69.6|blood|a|.08|0|.6|thrombocytopenia nos|thrombocytopenia, unspecified|thrombocytopenia
neutropenia|28800|d70.9|blood|a|.02|-.2|.3|neutropenia nos|neutropenia, unspecified|neutropenia
dvt|45340|i82.409|blood|a|.025|.05|.3|ac dvt/embl low ext nos|acute venous embolism and thrombosis of unspecified deep vessels of lower extremity|deep vein thrombosis
anticoag|v5861|z79.01|blood|c|.11|.3|0|long-term use anticoagul|long-term (current) use of anticoagulants|long-term anticoagulation
gibleed|5789|k92.2|gut|a|.05|.15|.3|gastrointest hemorr nos|hemorrhage of gastrointestinal tract, unspecified|gi bleeding
gerd|53081|k21.9|gut|c|.15|.05|-.1|esophageal reflux|esophageal reflux|gerd
ulcer|53240|k26.4|gut|a|.02|.15|.3|chr duoden ulcer w hem|chronic or unspecified duodenal ulcer with hemorrhage, without mention of obstruction|upper gi bleeding - duodenal ulcer
pancreatitis|5770|k85.9|gut|a|.02|-.2|.4|acute pancreatitis|acute pancreatitis|acute pancreatitis
cholangitis|5761|k83.0|gut|a|.015|.2|.4|cholangitis|cholangitis|cholangitis
ileus|5601|k56.7|gut|a|.03|.05|.4|paralytic ileus|paralytic ileus|ileus
constipation|56400|k59.00|gut|a|.04|.15|0|constipation nos|constipation, unspecified|constipation
stroke|43491|i63.50|brain|a|.03|.3|.3|crbl art ocl nos w infrc|cerebral artery occlusion, unspecified with cerebral infarction|stroke - ischemic
ich|431|i61.9|brain|a|.025|.2|.7|intracerebral hemorrhage|intracerebral hemorrhage|intracerebral hemorrhage
sah|430|i60.9|brain|a|.015|-.1|.6|subarachnoid hemorrhage|subarachnoid hemorrhage|subarachnoid hemorrhage
subdural|8522|s06.5x0a|brain|a|.02|.3|.3|traumatic subdural hem|subdural hemorrhage following injury without mention of open intracranial wound|subdural hematoma
seizure|78039|r56.9|brain|a|.04|-.15|.3|convulsions nec|other convulsions|seizures
delirium|2930|f05|brain|a|.05|.35|.4|delirium d/t other cond|delirium due to conditions classified elsewhere|delirium
dementia|2948|f03.90|brain|c|.05|.9|.1|mental disor nec oth dis|other persistent mental disorders due to conditions classified elsewhere|dementia
enceph|34831|g93.41|brain|a|.03|.1|.9|metabolic encephalopathy|metabolic encephalopathy|encephalopathy
depression|311|f32.9|brain|c|.1|-.1|0|depressive disorder nec|depressive disorder, not elsewhere classified|depression
livermets|1977|c78.7|cancer|c|.03|.05|.4|second malig neo liver|malignant neoplasm of liver, secondary|metastatic cancer - liver
lungmets|1970|c78.00|cancer|c|.025|.05|.4|secondary malig neo lung|secondary malignant neoplasm of lung|metastatic cancer - lung
bonemets|1985|c79.51|cancer|c|.025|.05|.3|secondary malig neo bone|secondary malignant neoplasm of bone and bone marrow|metastatic cancer - bone
lungca|1629|c34.90|cancer|c|.03|.1|.2|mal neo bronch/lung nos|malignant neoplasm of bronchus and lung, unspecified|lung cancer
breasthx|v103|z85.3|cancer|c|.04|.2|0|hx of breast malignancy|personal history of malignant neoplasm of breast|history of breast cancer
prostatehx|v1046|z85.46|cancer|c|.045|.4|0|hx-prostatic malignancy|personal history of malignant neoplasm of prostate|history of prostate cancer
pressulcer|70703|l89.159|skin|a|.05|.25|.6|pressure ulcer, low back|pressure ulcer, lower back|decubitus ulcer
osteoporosis|73300|m81.0|skin|c|.05|.5|0|osteoporosis nos|osteoporosis, unspecified|osteoporosis
hipfx|82021|s72.141a|skin|a|.02|.6|.1|intertrochanteric fx-cl|closed fracture of intertrochanteric section of neck of femur|hip fracture
rhabdo|72888|m62.82|skin|a|.015|-.1|.6|rhabdomyolysis|rhabdomyolysis|rhabdomyolysis
tobacco|3051|f17.200|lung|c|.1|-.3|0|tobacco use disorder|tobacco use disorder|tobacco use
laceration|9982|y83.9|skin|a|.02|.05|.2|accidental op laceration|accidental puncture or laceration during a procedure, not elsewhere classified|procedural complication - laceration
abnreact|e8788|y83.8|skin|a|.05|.05|.2|abn react-surg proc nec|other specified surgical operations and procedures causing abnormal patient reaction, or later complication, without mention of misadventure at time of operation|postoperative complication
"""

CONDITIONS: tuple[Condition, ...] = tuple(
    Condition(
        key, icd9, icd10, system, kind == "c", float(prevalence), float(decade), float(severity),
        short, long, bedside,
    )
    for key, icd9, icd10, system, kind, prevalence, decade, severity, short, long, bedside in lines(
        _TEXT
    )
)  # fmt: skip
SYSTEMS: tuple[str, ...] = tuple(dict.fromkeys(condition.system for condition in CONDITIONS))
COLUMN: dict[str, int] = {condition.key: index for index, condition in enumerate(CONDITIONS)}
"""Condition key → its column in the (stays, conditions) matrix of who has what."""
