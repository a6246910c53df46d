"""Published clinical formulas that are arithmetic: the reference solutions of MedCalc-Bench.

Each function stands alone, with the functions it calls: solutions carry its source into a kernel
that cannot import this package. That is why annotations are builtin types and tables are literals.
Point scores are in `benchside.suites.medcalcbench.scores`.
"""

import datetime as dt
import math


def creatinine_clearance(
    sex: str, age_y: float, weight_kg: float, height_cm: float, creatinine_mg_dl: float
) -> float:
    """Return the creatinine clearance in mL/min with the weight chosen by body-mass index.

    Underweight: actual weight; normal: the lower of actual and ideal; else: adjusted weight.
    Source: Cockcroft, Gault: Nephron 1976;16:31-41; the weight rule is that of the question.
    """
    bmi = body_mass_index(weight_kg, height_cm)
    if bmi < 18.5:
        used_kg = weight_kg
    elif bmi < 25:
        used_kg = min(weight_kg, ideal_weight(sex, height_cm))
    else:
        used_kg = adjusted_weight(sex, weight_kg, height_cm)
    factor = 0.85 if sex == "Female" else 1.0
    return (140 - age_y) * used_kg * factor / (72 * creatinine_mg_dl)


def gfr_ckd_epi(sex: str, age_y: float, creatinine_mg_dl: float) -> float:
    """Return the GFR in mL/min/1.73 m². Source: Inker et al.: NEJM 2021;385:1737-1749."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "Female" else (0.9, -0.302, 1.0)
    ratio = creatinine_mg_dl / kappa
    decline = math.pow(0.9938, age_y)
    return 142 * math.pow(min(ratio, 1), alpha) * math.pow(max(ratio, 1), -1.2) * decline * factor


def gfr_mdrd(sex: str, age_y: float, creatinine_mg_dl: float, race: str = "") -> float:
    """Return the GFR in mL/min/1.73 m². Source: Levey et al.: Ann Intern Med 2006;145:247-254."""
    factor = (0.742 if sex == "Female" else 1.0) * (1.212 if race == "Black" else 1.0)
    return 175 * math.pow(creatinine_mg_dl, -1.154) * math.pow(age_y, -0.203) * factor


def mean_arterial_pressure(systolic_mm_hg: float, diastolic_mm_hg: float) -> float:
    """Return two thirds of the diastolic and one third of the systolic pressure, in mm Hg."""
    return (2 * diastolic_mm_hg + systolic_mm_hg) / 3


def body_mass_index(weight_kg: float, height_cm: float) -> float:
    """Return weight over height squared, in kg/m² (Quetelet)."""
    return weight_kg / (height_cm / 100) ** 2


def body_surface(weight_kg: float, height_cm: float) -> float:
    """Return the body surface in m². Source: Mosteller: NEJM 1987;317:1098."""
    return math.sqrt(weight_kg * height_cm / 3600)


def ideal_weight(sex: str, height_cm: float) -> float:
    """Return the ideal body weight in kg. Source: Devine: Drug Intell Clin Pharm 1974;8:650."""
    return (45.5 if sex == "Female" else 50.0) + 2.3 * (height_cm / 2.54 - 60)


def adjusted_weight(sex: str, weight_kg: float, height_cm: float) -> float:
    """Return ideal weight plus 0.4 of the excess, in kg. Source: Bauer et al.: EJCP 1983;24:643."""
    ideal_kg = ideal_weight(sex, height_cm)
    return ideal_kg + 0.4 * (weight_kg - ideal_kg)


def target_weight(bmi: float, height_cm: float) -> float:
    """Return the weight in kg at which a height gives a body-mass index (kg/m²)."""
    return bmi * (height_cm / 100) ** 2


def maintenance_fluid(weight_kg: float) -> float:
    """Return mL/h by the 4-2-1 rule. Source: Holliday, Segar: Pediatrics 1957;19:823-832."""
    return 4 * min(weight_kg, 10) + 2 * min(max(weight_kg - 10, 0), 10) + max(weight_kg - 20, 0)


def corrected_calcium(calcium_mg_dl: float, albumin_g_dl: float) -> float:
    """Return calcium in mg/dL at albumin 4 g/dL. Source: Payne et al.: BMJ 1973;4:643-646."""
    return calcium_mg_dl + 0.8 * (4 - albumin_g_dl)


def corrected_sodium(sodium_meq_l: float, glucose_mg_dl: float) -> float:
    """Return sodium in mEq/L at glucose 100 mg/dL. Source: Hillier et al.: AJM 1999;106:399."""
    return sodium_meq_l + 0.024 * (glucose_mg_dl - 100)


def serum_osmolality(sodium_meq_l: float, bun_mg_dl: float, glucose_mg_dl: float) -> float:
    """Return the calculated osmolality in mOsm/kg. Source: Dorwart, Chalmers: Clin Chem 1975."""
    return 2 * sodium_meq_l + bun_mg_dl / 2.8 + glucose_mg_dl / 18


def free_water_deficit(sex: str, age_y: float, weight_kg: float, sodium_meq_l: float) -> float:
    """Return litres of water missing at a target sodium of 140 mEq/L.

    Body water: 0.6 of weight in children and men, 0.5 in women and men from 65, 0.45 in women
    from 65. Source: Adrogué, Madias: NEJM 2000;342:1493-1499.
    """
    if age_y < 18:
        share = 0.6
    elif age_y < 65:
        share = 0.5 if sex == "Female" else 0.6
    else:
        share = 0.45 if sex == "Female" else 0.5
    return share * weight_kg * (sodium_meq_l / 140 - 1)


def sodium_excretion(
    sodium_meq_l: float,
    creatinine_mg_dl: float,
    urine_sodium_meq_l: float,
    urine_creatinine_mg_dl: float,
) -> float:
    """Return the fractional excretion of sodium in percent. Source: Espinel: JAMA 1976;236:579."""
    cleared = urine_sodium_meq_l * creatinine_mg_dl
    return 100 * cleared / (sodium_meq_l * urine_creatinine_mg_dl)


def anion_gap(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return sodium less chloride and bicarbonate, in mEq/L. Source: Emmett, Narins 1977."""
    return sodium_meq_l - (chloride_meq_l + bicarbonate_meq_l)


def delta_gap(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return the anion gap's excess over 12 mEq/L. Source: Wrenn: Ann Emerg Med 1990;19:1310."""
    return anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l) - 12


def delta_ratio(sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float) -> float:
    """Return the delta gap over the bicarbonate deficit from 24 mEq/L. Source: as `delta_gap`."""
    gap = delta_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l)
    return gap / (24 - bicarbonate_meq_l)


def albumin_anion_gap(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the anion gap at albumin 4 g/dL, in mEq/L. Source: Figge et al.: CCM 1998;26:1807."""
    return anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l) + 2.5 * (4 - albumin_g_dl)


def albumin_delta_gap(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the excess of the albumin-corrected anion gap over 12 mEq/L."""
    return albumin_anion_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l, albumin_g_dl) - 12


def albumin_delta_ratio(
    sodium_meq_l: float, chloride_meq_l: float, bicarbonate_meq_l: float, albumin_g_dl: float
) -> float:
    """Return the albumin-corrected delta gap over the bicarbonate deficit from 24 mEq/L."""
    gap = albumin_delta_gap(sodium_meq_l, chloride_meq_l, bicarbonate_meq_l, albumin_g_dl)
    return gap / (24 - bicarbonate_meq_l)


def ldl_cholesterol(total_mg_dl: float, hdl_mg_dl: float, triglycerides_mg_dl: float) -> float:
    """Return LDL in mg/dL. Source: Friedewald et al.: Clin Chem 1972;18:499-502."""
    return total_mg_dl - hdl_mg_dl - triglycerides_mg_dl / 5


def homa_ir(glucose_mg_dl: float, insulin_uiu_ml: float) -> float:
    """Return the insulin resistance index. Source: Matthews et al.: Diabetologia 1985;28:412."""
    return glucose_mg_dl * insulin_uiu_ml / 405


def fib4(age_y: float, ast_u_l: float, alt_u_l: float, platelets_per_ul: float) -> float:
    """Return the fibrosis index. Source: Sterling et al.: Hepatology 2006;43:1317-1325."""
    return age_y * ast_u_l / (platelets_per_ul / 1000 * math.sqrt(alt_u_l))


def qtc_bazett(qt_ms: float, rate_per_min: float) -> float:
    """Return QT over the root of RR, in ms. Source: Bazett: Heart 1920;7:353-370."""
    return qt_ms / math.sqrt(60 / rate_per_min)


def qtc_fridericia(qt_ms: float, rate_per_min: float) -> float:
    """Return QT over the cube root of RR, in ms. Source: Fridericia: Acta Med Scand 1920."""
    return qt_ms / math.cbrt(60 / rate_per_min)


def qtc_framingham(qt_ms: float, rate_per_min: float) -> float:
    """Return QT + 154 (1 - RR), in ms. Source: Sagie et al.: Am J Cardiol 1992;70:797-801."""
    return qt_ms + 154 * (1 - 60 / rate_per_min)


def qtc_hodges(qt_ms: float, rate_per_min: float) -> float:
    """Return QT + 1.75 (rate - 60), in ms. Source: Hodges et al.: JACC 1983;1:694."""
    return qt_ms + 1.75 * (rate_per_min - 60)


def qtc_rautaharju(qt_ms: float, rate_per_min: float) -> float:
    """Return QT (120 + rate) / 180, in ms. Source: Rautaharju et al.: Circulation 2004."""
    return qt_ms * (120 + rate_per_min) / 180


def steroid_equivalent(steroid: str, dose_mg: float, target: str) -> float:
    """Return the dose in mg of the target with the same glucocorticoid effect.

    Steroids are named with their route, such as "PredniSONE PO"; the route does not matter.
    Source: Meikle, Tyler: Am J Med 1977;63:200-207 (doses that equal 20 mg of hydrocortisone).
    """
    equal_mg = {
        "Betamethasone": 0.75, "Cortisone": 25, "Dexamethasone": 0.75, "Hydrocortisone": 20,
        "MethylPrednisoLONE": 4, "PrednisoLONE": 5, "PredniSONE": 5, "Triamcinolone": 4,
    }  # fmt: skip
    return dose_mg * equal_mg[target.split(maxsplit=1)[0]] / equal_mg[steroid.split(maxsplit=1)[0]]


def morphine_equivalents(doses: dict[str, list[float]]) -> float:
    """Return morphine milligram equivalents a day of {opioid: [amount, doses a day]}.

    Amounts are mg; buccal fentanyl µg; fentanyl patches µg/h. Source: CDC Clinical Practice
    Guideline for Prescribing Opioids, MMWR Recomm Rep 2022;71(3), table; buccal fentanyl: CDC 2020.
    """
    factors = {
        "Codeine": 0.15, "FentaNYL buccal": 0.13, "FentANYL patch": 2.4, "HYDROcodone": 1,
        "HYDROmorphone": 5, "Methadone": 4.7, "Morphine": 1, "OxyCODONE": 1.5, "OxyMORphone": 3,
        "Tapentadol": 0.4, "TraMADol": 0.2,
    }  # fmt: skip
    return sum(factors[opioid] * amount * per_day for opioid, (amount, per_day) in doses.items())


def due_date(last_period: str, cycle_days: float) -> dt.date:
    """Return 280 days after a last menstrual period (ISO date), plus the cycle's excess over 28.

    Source: Naegele's rule, ACOG Committee Opinion 700.
    """
    return dt.date.fromisoformat(last_period) + dt.timedelta(days=280 + cycle_days - 28)


def conception_date(last_period: str) -> dt.date:
    """Return 14 days after a last menstrual period (ISO date)."""
    return dt.date.fromisoformat(last_period) + dt.timedelta(days=14)


def gestational_age(last_period: str, today: str) -> dt.timedelta:
    """Return the time from the last menstrual period to today (ISO dates)."""
    return dt.date.fromisoformat(today) - dt.date.fromisoformat(last_period)


def meld_na(
    *,
    creatinine_mg_dl: float,
    bilirubin_mg_dl: float,
    inr: float,
    sodium_meq_l: float,
    dialysis: bool = False,
    hemodialysis: bool = False,
) -> float:
    """Return the MELD-Na score. Source: OPTN policy 9.1.D (2016); Kim et al.: NEJM 2008."""
    creatinine = 4.0 if dialysis or hemodialysis else min(max(creatinine_mg_dl, 1.0), 4.0)
    logs = 0.957 * math.log(creatinine) + 0.378 * math.log(max(bilirubin_mg_dl, 1.0))
    meld = round(10 * round(logs + 1.120 * math.log(max(inr, 1.0)) + 0.643, 1))
    if meld > 11:
        missing = 137 - min(max(sodium_meq_l, 125), 137)
        meld = round(meld + 1.32 * missing - 0.033 * meld * missing)
    return min(meld, 40)


def framingham_risk(
    *,
    sex: str,
    age_y: float,
    total_mg_dl: float,
    hdl_mg_dl: float,
    systolic_mm_hg: float,
    treated: bool = False,
    smoker: bool = False,
) -> float:
    """Return the ten-year risk of hard coronary heart disease in percent.

    Source: NCEP ATP III, Circulation 2002;106:3143-3421 (Framingham equations for hard CHD).
    """
    age, total, hdl = math.log(age_y), math.log(total_mg_dl), math.log(hdl_mg_dl)
    systolic = math.log(systolic_mm_hg)
    if sex == "Female":
        capped = math.log(min(age_y, 78))
        risk = 31.764001 * age + 22.465206 * total - 1.187731 * hdl + 2.552905 * systolic
        risk += 0.420251 * treated + 13.07543 * smoker - 5.060998 * age * total
        risk += -2.996945 * capped * smoker - 146.5933061
        return 100 * (1 - math.pow(0.98767, math.exp(risk)))
    capped = math.log(min(age_y, 70))
    risk = 52.00961 * age + 20.014077 * total - 0.905964 * hdl + 1.305784 * systolic
    risk += 0.241549 * treated + 12.096316 * smoker - 4.605038 * age * total
    risk += -2.84367 * capped * smoker - 2.93323 * age**2 - 172.300168
    return 100 * (1 - math.pow(0.9402, math.exp(risk)))
