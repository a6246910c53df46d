"""The second path, second half: the 55 calculators written down once more, in another way.

Each takes a dict of inputs in conventional units: numbers, truth values, words. Scores are written
as lists of what counts, laboratory formulas with the constants of their usual textbook form. They
share nothing with `benchside.calculators`; the builder drops every task on which the two disagree.
Solutions carry the source of one of them into the kernel, with all that it calls.
"""

from __future__ import annotations

import datetime as dt
import math

# ruff: noqa: D103 - each function is the calculator of its name
# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return"
# (annotations would name types that kernels lack)


def met(v, *names):
    return sum(1 for name in names if v.get(name))


def step(x, *limits):
    return sum(1 for limit in limits if x >= limit)


def devine(v):
    inches_over_5_feet = v["height"] / 2.54 - 60
    return {"Male": 50, "Female": 45.5}[v["sex"]] + 2.3 * inches_over_5_feet


def body_mass_index(v):
    return 10_000 * v["weight"] / v["height"] / v["height"]


def body_surface_area(v):
    return (v["weight"] * v["height"]) ** 0.5 / 60


def ideal_body_weight(v):
    return devine(v)


def adjusted_body_weight(v):
    return 0.6 * devine(v) + 0.4 * v["weight"]


def target_weight(v):
    return v["bmi"] * v["height"] ** 2 / 1e4


def maintenance_fluids(v):
    kg = v["weight"]
    return 4 * kg if kg <= 10 else 20 + 2 * kg if kg <= 20 else 40 + kg


def creatinine_clearance(v):
    bmi = 10_000 * v["weight"] / v["height"] ** 2
    kg = v["weight"]
    if bmi >= 25:
        kg = 0.6 * devine(v) + 0.4 * kg
    elif bmi >= 18.5 and devine(v) < kg:
        kg = devine(v)
    male = (140 - v["age"]) / 72 * kg / v["creatinine"]
    return 0.85 * male if v["sex"] == "Female" else male


def gfr_ckd_epi(v):
    if v["sex"] == "Female":
        ratio, low, more = v["creatinine"] / 0.7, -0.241, 1.012
    else:
        ratio, low, more = v["creatinine"] / 0.9, -0.302, 1
    return 142 * ratio ** (low if ratio < 1 else -1.2) * 0.9938 ** v["age"] * more


def gfr_mdrd(v):
    log = math.log(175) - 1.154 * math.log(v["creatinine"]) - 0.203 * math.log(v["age"])
    log += math.log(0.742) if v["sex"] == "Female" else 0
    return math.exp(log + (math.log(1.212) if v.get("race") == "Black" else 0))


def sodium_excretion(v):
    sodium = v["urine_sodium"] / v["sodium"]
    return 100 * sodium / (v["urine_creatinine"] / v["creatinine"])


def free_water_deficit(v):
    share = 0.5 if v["sex"] == "Female" else 0.6
    if v["age"] >= 65:
        share -= 0.05 if v["sex"] == "Female" else 0.1
    elif v["age"] < 18:
        share = 0.6
    return share * v["weight"] * (v["sodium"] - 140) / 140


def corrected_calcium(v):
    return v["calcium"] + 3.2 - 0.8 * v["albumin"]


def corrected_sodium(v):
    return v["sodium"] + 2.4 * (v["glucose"] / 100 - 1)


def serum_osmolality(v):
    return v["sodium"] * 2 + v["glucose"] / 18 + v["urea_nitrogen"] / 2.8


def anion_gap(v):
    return v["sodium"] - v["chloride"] - v["bicarbonate"]


def delta_gap(v):
    return v["sodium"] - v["chloride"] - v["bicarbonate"] - 12


def delta_ratio(v):
    return (v["sodium"] - v["chloride"] - v["bicarbonate"] - 12) / (24 - v["bicarbonate"])


def albumin_anion_gap(v):
    return v["sodium"] - v["chloride"] - v["bicarbonate"] + 10 - 2.5 * v["albumin"]


def albumin_delta_gap(v):
    return v["sodium"] - v["chloride"] - v["bicarbonate"] - 2 - 2.5 * v["albumin"]


def albumin_delta_ratio(v):
    gap = v["sodium"] - v["chloride"] - v["bicarbonate"] - 2 - 2.5 * v["albumin"]
    return gap / (24 - v["bicarbonate"])


def ldl_cholesterol(v):
    return v["total_cholesterol"] - v["hdl_cholesterol"] - 0.2 * v["triglycerides"]


def homa_ir(v):
    return v["glucose"] / 18 * v["insulin"] / 22.5


def fib_4(v):
    return v["age"] * v["ast"] / (v["platelets"] / 1000) / v["alt"] ** 0.5


def child_pugh(v):
    bilirubin = 3 if v["bilirubin"] > 3 else 2 if v["bilirubin"] >= 2 else 1
    albumin = 1 if v["albumin"] > 3.5 else 2 if v["albumin"] >= 2.8 else 3
    inr = 3 if v["inr"] > 2.3 else 2 if v["inr"] >= 1.7 else 1
    words = {"slight": 2, "moderate": 3, "Grade 1-2": 2, "Grade 3-4": 3}
    graded = words.get(v.get("ascites"), 1) + words.get(v.get("encephalopathy"), 1)
    return bilirubin + albumin + inr + graded


def meld_na(v):
    creatinine = 4 if met(v, "dialysis", "hemodialysis") else v["creatinine"]
    limited = min(4, max(1, creatinine)), max(1, v["bilirubin"]), max(1, v["inr"])
    logs = [math.log(value) for value in limited]
    start = round(0.957 * logs[0] + 0.378 * logs[1] + 1.12 * logs[2] + 0.643, 1) * 10
    meld = round(start)
    if meld > 11:
        sodium = max(125, min(137, v["sodium"]))
        meld = round(meld + 1.32 * (137 - sodium) - 0.033 * meld * (137 - sodium))
    return min(40, meld)


def glasgow_blatchford(v):
    points = [0, 2, 3, 4, 6][step(v["urea_nitrogen"], 18.2, 22.4, 28, 70)]
    if v["sex"] == "Male":
        points += [6, 3, 1, 0][step(v["hemoglobin"], 10, 12, 13)]
    else:
        points += [6, 1, 0][step(v["hemoglobin"], 10, 12)]
    points += [3, 2, 1, 0][step(v["systolic"], 90, 100, 110)]
    points += step(v["pulse"], 100) + met(v, "melena")
    return points + 2 * met(v, "syncope", "hepatic", "failure")


def qtc_bazett(v):
    return v["qt"] * (v["pulse"] / 60) ** 0.5


def qtc_fridericia(v):
    return v["qt"] * (v["pulse"] / 60) ** (1 / 3)


def qtc_framingham(v):
    return v["qt"] + 154 - 9240 / v["pulse"]


def qtc_hodges(v):
    return v["qt"] + 1.75 * v["pulse"] - 105


def qtc_rautaharju(v):
    return v["qt"] * (2 / 3 + v["pulse"] / 180)


def mean_arterial_pressure(v):
    return v["diastolic"] + (v["systolic"] - v["diastolic"]) / 3


def cha2ds2_vasc(v):
    points = met(v, "failure", "hypertension", "diabetes", "vascular") + step(v["age"], 65, 75)
    if met(v, "stroke", "tia", "embolism"):
        points += 2
    return points + (v["sex"] == "Female")


def has_bled(v):
    points = met(
        v, "hypertension", "renal", "liver", "stroke", "bleeding", "labile_inr", "medication"
    )
    return points + (v["age"] > 65) + (v.get("drinks", 0) >= 8)


def heart_score(v):
    words = {
        "Moderately suspicious": 1, "Highly suspicious": 2, "Significant ST deviation": 2,
        "Non-specific repolarization disturbance": 1, "greater than three times normal limit": 2,
        "between the normal limit or up to three times the normal limit": 1,
    }  # fmt: skip
    points = sum(words.get(v[name], 0) for name in ("suspicion", "ecg", "troponin"))
    risks = met(v, "hypertension", "cholesterol", "diabetes", "obesity", "smoking", "family")
    if risks >= 3 or met(v, "atherosclerosis", "tia"):
        points += 2
    elif risks:
        points += 1
    return points + step(v["age"], 45, 65)


def cardiac_risk_index(v):
    points = met(v, "surgery", "ischemic", "failure", "cerebrovascular", "insulin")
    return points + (v["creatinine"] > 2)


def framingham_risk(v):
    age, pressure = math.log(v["age"]), math.log(v["systolic"])
    total, hdl = math.log(v["total_cholesterol"]), math.log(v["hdl_cholesterol"])
    treated, smoker = met(v, "treated"), met(v, "smoker")
    if v["sex"] == "Male":
        x = age * (52.00961 - 4.605038 * total - 2.93323 * age) + 20.014077 * total
        x += 1.305784 * pressure - 0.905964 * hdl + 0.241549 * treated - 172.300168
        x += smoker * (12.096316 - 2.84367 * math.log(min(70, v["age"])))
        survival = 0.9402
    else:
        x = age * (31.764001 - 5.060998 * total) + 22.465206 * total
        x += 2.552905 * pressure - 1.187731 * hdl + 0.420251 * treated - 146.5933061
        x += smoker * (13.07543 - 2.996945 * math.log(min(78, v["age"])))
        survival = 0.98767
    return 100 * (1 - survival ** math.exp(x))


def wells_embolism(v):
    points = 3 * met(v, "thrombosis_signs", "likeliest") + met(v, "hemoptysis", "malignancy")
    halves = [v["pulse"] > 100, met(v, "immobile", "surgery") > 0]
    halves.append(met(v, "past_embolism", "past_thrombosis") > 0)
    return points + 1.5 * sum(halves)


def wells_thrombosis(v):
    points = met(v, "cancer", "paralysis", "past_thrombosis", "calf", "collateral", "leg")
    points += met(v, "tenderness", "edema") + min(1, met(v, "bedridden", "surgery"))
    return points - 2 * met(v, "alternative")


def perc_rule(v):
    points = met(v, "leg", "hemoptysis", "surgery", "hormones")
    points += min(1, met(v, "past_embolism", "past_thrombosis"))
    return points + step(v["age"], 50) + step(v["pulse"], 100) + (v["saturation"] < 95)


def caprini_score(v):
    words = {
        "minor": 1, "major": 2, "laparoscopic": 2, "arthroscopic": 2, "on bed rest": 1,
        "elective major lower extremity arthroplasty": 5, "confined to bed >72 hours": 2,
    }  # fmt: skip
    points = words.get(v.get("surgery"), 0) + words.get(v.get("mobility"), 0)
    points += 5 * met(v, "fracture", "stroke", "trauma", "cord")
    points += 3 * met(v, "past_thrombosis", "past_embolism", "family", "factor_v", "prothrombin")
    points += 3 * met(v, "homocysteine", "lupus", "anticardiolipin", "heparin", "thrombophilia")
    points += 2 * met(v, "cast", "venous_access", "malignancy")
    points += met(v, "recent_surgery", "failure", "sepsis", "pneumonia", "varicose", "swollen")
    points += met(v, "bowel", "infarction", "copd") + (v["sex"] == "Female")
    return points + (v["bmi"] > 25) + step(v["age"], 41, 61, 75)


def centor_score(v):
    points = met(v, "no_cough", "nodes", "exudate") + (v["temperature"] > 38)
    return points + (1 if v["age"] < 15 else -1 if v["age"] >= 45 else 0)


def feverpain(v):
    return met(v, "fever", "no_cough", "early", "purulent", "inflamed")


def curb_65(v):
    low = v["systolic"] < 90 or v["diastolic"] <= 60
    points = met(v, "confusion") + (v["urea_nitrogen"] > 19) + step(v["breaths"], 30)
    return points + low + step(v["age"], 65)


def pneumonia_severity(v):
    points = v["age"] - (10 if v["sex"] == "Female" else 0)
    points += 10 * met(v, "nursing_home", "failure", "cerebrovascular", "renal", "effusion")
    points += 20 * met(v, "liver", "mental") + 30 * met(v, "neoplastic")
    points += 20 * (step(v["breaths"], 30) + (v["systolic"] < 90))
    points += 15 * (v["temperature"] < 35 or v["temperature"] >= 40)
    points += 10 * step(v["pulse"], 125) + 30 * (v["ph"] < 7.35)
    points += 20 * (step(v["urea_nitrogen"], 30) + (v["sodium"] < 130))
    return points + 10 * (step(v["glucose"], 250) + (v["hematocrit"] < 30) + (v["oxygen"] < 60))


def sirs_criteria(v):
    heat = not 36 <= v["temperature"] <= 38
    cells = not 4000 <= v["leukocytes"] <= 12_000
    breath = v["breaths"] > 20 or v.get("carbon_dioxide", 40) < 32
    return heat + cells + breath + (v["pulse"] > 90)


def glasgow_coma_score(v):
    words = {
        "eye opening to pain": 2, "eye opening to verbal command": 3, "eyes open spontaneously": 4,
        "incomprehensible sounds": 2, "inappropriate words": 3, "confused": 4, "oriented": 5,
        "extension to pain": 2, "flexion to pain": 3, "withdrawal from pain": 4,
        "localizes pain": 5, "obeys commands": 6,
    }  # fmt: skip
    full = {"eye": 4, "verbal": 5, "motor": 6}
    return sum(full[part] if v[part] == "not testable" else words.get(v[part], 1) for part in full)


def apache_ii(v):
    pressure = (v["systolic"] + 2 * v["diastolic"]) / 3
    points = [4, 3, 2, 1, 0, 1, 3, 4][step(v["temperature"], 30, 32, 34, 36, 38.5, 39, 41)]
    points += [4, 2, 0, 2, 3, 4][step(pressure, 50, 70, 110, 130, 160)]
    points += [4, 3, 2, 0, 2, 3, 4][step(v["pulse"], 40, 55, 70, 110, 140, 180)]
    points += [4, 2, 1, 0, 1, 3, 4][step(v["breaths"], 6, 10, 12, 25, 35, 50)]
    if v["inspired_oxygen"] >= 50:
        points += [0, 2, 3, 4][step(v["gradient"], 200, 350, 500)]
    else:
        points += 4 if v["oxygen"] < 55 else 3 if v["oxygen"] <= 60 else v["oxygen"] <= 70
    points += [4, 3, 2, 0, 1, 3, 4][step(v["ph"], 7.15, 7.25, 7.33, 7.5, 7.6, 7.7)]
    points += [4, 3, 2, 0, 1, 2, 3, 4][step(v["sodium"], 111, 120, 130, 150, 155, 160, 180)]
    points += [4, 2, 1, 0, 1, 3, 4][step(v["potassium"], 2.5, 3, 3.5, 5.5, 6, 7)]
    kidney = [2, 0, 2, 3, 4][step(v["creatinine"], 0.6, 1.5, 2, 3.5)]
    twice = v["creatinine"] >= 1.5 and met(v, "acute_renal_failure")
    points += 2 * kidney if twice else kidney
    points += [4, 2, 0, 1, 2, 4][step(v["hematocrit"], 20, 30, 46, 50, 60)]
    points += [4, 2, 0, 1, 2, 4][step(v["leukocytes"], 1000, 3000, 15_000, 20_000, 40_000)]
    points += [0, 2, 3, 5, 6][step(v["age"], 45, 55, 65, 75)]
    if met(v, "organ_failure"):
        points += 2 if v.get("surgery") == "Elective" else 5
    return int(points + 15 - v["coma_score"])


def sofa(v):
    ratio = 100 * v["oxygen"] / v["inspired_oxygen"]
    support = met(v, "ventilated", "cpap") > 0
    points = 0 if ratio >= 400 else 1 if ratio >= 300 else 2
    if support and ratio < 200:
        points = 4 if ratio < 100 else 3
    points += [4, 3, 2, 1, 0][step(v["platelets"], 20_000, 50_000, 100_000, 150_000)]
    points += [0, 1, 2, 3, 4][step(v["bilirubin"], 1.2, 2, 6, 12)]
    points += [4, 3, 2, 1, 0][step(v["coma_score"], 6, 10, 13, 15)]
    strong = max(v.get("epinephrine", 0), v.get("norepinephrine", 0))
    dopamine = v.get("dopamine", 0)
    pressure = (v.get("systolic", 120) + 2 * v.get("diastolic", 80)) / 3
    if strong > 0.1 or dopamine > 15:
        points += 4
    elif strong or dopamine > 5:
        points += 3
    elif dopamine or v.get("dobutamine"):
        points += 2
    elif pressure < 70 or met(v, "hypotension"):
        points += 1
    urine = [4, 3, 0][step(v.get("urine", 2000), 200, 500)]
    return points + max(urine, step(v.get("creatinine", 1), 1.2, 2, 3.5, 5))


def charlson_index(v):
    points = min(4, step(v["age"], 50, 60, 70, 80))
    points += met(
        v, "infarction", "failure", "peripheral", "dementia", "copd", "connective", "ulcer"
    )
    points += min(1, met(v, "stroke", "tia")) + 6 * met(v, "aids")
    points += 2 * met(v, "hemiplegia", "renal", "leukemia", "lymphoma")
    words = {"mild": 1, "moderate to severe": 3, "uncomplicated": 1, "end-organ damage": 2}
    words |= {"localized": 2, "metastatic": 6}
    return points + sum(words.get(v.get(name), 0) for name in ("liver", "diabetes", "tumor"))


def steroid_equivalent(v):
    potency = {
        "betamethasone": 26.667, "cortisone": 0.8, "dexamethasone": 26.667, "hydrocortisone": 1,
        "methylprednisolone": 5, "prednisolone": 4, "prednisone": 4, "triamcinolone": 5,
    }  # fmt: skip
    taken, wanted = (v[name].split()[0].lower() for name in ("steroid", "target"))
    return v["dose"] * potency[taken] / potency[wanted]


def morphine_equivalents(v):
    factor = {
        "codeine": 0.15, "hydrocodone": 1, "hydromorphone": 5, "methadone": 4.7, "morphine": 1,
        "oxycodone": 1.5, "oxymorphone": 3, "tapentadol": 0.4, "tramadol": 0.2,
    }  # fmt: skip
    return sum(factor[drug.lower()] * mg * times for drug, (mg, times) in v["doses"].items())


def due_date(v):
    return dt.date.fromisoformat(v["last_period"]) + dt.timedelta(days=252 + v["cycle"])


def conception_date(v):
    return dt.date.fromordinal(dt.date.fromisoformat(v["last_period"]).toordinal() + 14)


def gestational_age(v):
    days = (dt.date.fromisoformat(v["today"]) - dt.date.fromisoformat(v["last_period"])).days
    return dt.timedelta(weeks=days // 7, days=days % 7)
