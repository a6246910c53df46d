"""Published point scores, for the reference solutions of MedCalc-Bench.

As in `formulas`, each function stands alone with what it calls. Criteria that a note does
not mention count as absent, so that flags default to False.

Left out: APACHE II, SOFA, Caprini and Charlson, whose published entities leave too much open.
"""


def cha2ds2_vasc(
    *,
    sex: str,
    age_y: float,
    failure: bool = False,
    hypertension: bool = False,
    diabetes: bool = False,
    stroke: bool = False,
    tia: bool = False,
    embolism: bool = False,
    vascular: bool = False,
) -> int:
    """Return the stroke risk score, 0 to 9. Source: Lip et al.: Chest 2010;137:263-272."""
    age_points = 2 if age_y >= 75 else int(age_y >= 65)
    single = failure + hypertension + diabetes + vascular + (sex == "Female")
    return age_points + single + 2 * (stroke or tia or embolism)


def wells_embolism(
    *,
    rate_per_min: float,
    thrombosis_signs: bool = False,
    likeliest: bool = False,
    immobile: bool = False,
    surgery: bool = False,
    past_embolism: bool = False,
    past_thrombosis: bool = False,
    hemoptysis: bool = False,
    malignancy: bool = False,
) -> float:
    """Return the score for pulmonary embolism. Source: Wells et al.: Thromb Haemost 2000;83:416."""
    fast = rate_per_min > 100
    halves = fast + (immobile or surgery) + (past_embolism or past_thrombosis)
    return 3 * (thrombosis_signs + likeliest) + 1.5 * halves + hemoptysis + malignancy


def wells_thrombosis(
    *,
    cancer: bool = False,
    bedridden: bool = False,
    surgery: bool = False,
    paralysis: bool = False,
    past_thrombosis: bool = False,
    alternative: bool = False,
    calf: bool = False,
    collateral: bool = False,
    leg: bool = False,
    tenderness: bool = False,
    edema: bool = False,
) -> int:
    """Return the score for deep vein thrombosis. Source: Wells et al.: NEJM 2003;349:1227-1235."""
    points = cancer + (bedridden or surgery) + paralysis + past_thrombosis + calf
    return points + collateral + leg + tenderness + edema - 2 * alternative


def cardiac_risk_index(
    *,
    creatinine_mg_dl: float,
    surgery: bool = False,
    ischemic: bool = False,
    failure: bool = False,
    cerebrovascular: bool = False,
    insulin: bool = False,
) -> int:
    """Return the revised index, 0 to 6. Source: Lee et al.: Circulation 1999;100:1043-1049."""
    return surgery + ischemic + failure + cerebrovascular + insulin + (creatinine_mg_dl > 2)


def heart_score(
    *,
    age_y: float,
    suspicion: str,
    ecg: str,
    troponin: str,
    hypertension: bool = False,
    cholesterol: bool = False,
    diabetes: bool = False,
    obesity: bool = False,
    smoking: bool = False,
    family: bool = False,
    atherosclerosis: bool = False,
    tia: bool = False,
) -> int:
    """Return the score for cardiac events. Source: Six, Backus, Kelder: Neth Heart J 2008."""
    levels = {
        "Slightly suspicious": 0, "Moderately suspicious": 1, "Highly suspicious": 2,
        "Normal": 0, "Non-specific repolarization disturbance": 1, "Significant ST deviation": 2,
        "less than or equal to normal limit": 0,
        "between the normal limit or up to three times the normal limit": 1,
        "greater than three times normal limit": 2,
    }  # fmt: skip
    factors = hypertension + cholesterol + diabetes + obesity + smoking + family
    risk = 2 if factors >= 3 or atherosclerosis or tia else int(factors > 0)
    age = 2 if age_y >= 65 else int(age_y >= 45)
    return levels[suspicion] + levels[ecg] + levels[troponin] + risk + age


def centor_score(
    age_y: float,
    temperature_c: float,
    no_cough: bool = False,
    nodes: bool = False,
    exudate: bool = False,
) -> int:
    """Return the modified score. Source: McIsaac et al.: CMAJ 1998;158:75-83."""
    age = 1 if 3 <= age_y < 15 else -int(age_y >= 45)
    return age + (temperature_c > 38) + no_cough + nodes + exudate


def feverpain(
    fever: bool = False,
    no_cough: bool = False,
    early: bool = False,
    purulent: bool = False,
    inflamed: bool = False,
) -> int:
    """Return the score, 0 to 5. Source: Little et al.: BMJ 2013;347:f5806."""
    return fever + no_cough + early + purulent + inflamed


def glasgow_coma_score(eye: str, verbal: str, motor: str) -> int:
    """Return the score, 3 to 15; what cannot be tested counts as full.

    Source: Teasdale, Jennett: Lancet 1974;2:81-84; the last rule is that of the benchmark.
    """
    eyes = [
        "no eye opening", "eye opening to pain", "eye opening to verbal command",
        "eyes open spontaneously",
    ]  # fmt: skip
    words = [
        "no verbal response", "incomprehensible sounds", "inappropriate words", "confused",
        "oriented",
    ]  # fmt: skip
    moves = [
        "no motor response", "extension to pain", "flexion to pain", "withdrawal from pain",
        "localizes pain", "obeys commands",
    ]  # fmt: skip
    pairs = ((eye, eyes), (verbal, words), (motor, moves))
    return sum(
        len(scale) if seen == "not testable" else scale.index(seen) + 1 for seen, scale in pairs
    )


def child_pugh(
    bilirubin_mg_dl: float,
    albumin_g_dl: float,
    inr: float,
    ascites: str = "absent",
    encephalopathy: str = "No Encephalopathy",
) -> int:
    """Return the score, 5 to 15. Source: Pugh et al.: Br J Surg 1973;60:646-649."""
    bilirubin = 1 + (bilirubin_mg_dl >= 2) + (bilirubin_mg_dl > 3)
    albumin = 1 + (albumin_g_dl <= 3.5) + (albumin_g_dl < 2.8)
    clotting = 1 + (inr >= 1.7) + (inr > 2.3)
    fluid = {"absent": 1, "slight": 2, "moderate": 3}[ascites]
    brain = {"Grade 1-2": 2, "Grade 3-4": 3}.get(encephalopathy, 1)
    return bilirubin + albumin + clotting + fluid + brain


def has_bled(
    *,
    age_y: float,
    drinks_per_week: float = 0,
    hypertension: bool = False,
    renal: bool = False,
    liver: bool = False,
    stroke: bool = False,
    bleeding: bool = False,
    labile_inr: bool = False,
    medication: bool = False,
) -> int:
    """Return the bleeding risk, 0 to 9. Source: Pisters et al.: Chest 2010;138:1093-1100."""
    points = hypertension + renal + liver + stroke + bleeding + labile_inr + medication
    return points + (age_y > 65) + (drinks_per_week >= 8)


def glasgow_blatchford(
    *,
    sex: str,
    bun_mg_dl: float,
    hemoglobin_g_dl: float,
    systolic_mm_hg: float,
    rate_per_min: float,
    melena: bool = False,
    syncope: bool = False,
    hepatic: bool = False,
    failure: bool = False,
) -> int:
    """Return the bleeding score, 0 to 23. Source: Blatchford et al.: Lancet 2000;356:1318-1321."""
    urea = next(
        (
            points
            for limit, points in ((70, 6), (28, 4), (22.4, 3), (18.2, 2))
            if bun_mg_dl >= limit
        ),
        0,
    )
    steps = [(10, 6), (12, 1)] if sex == "Female" else [(10, 6), (12, 3), (13, 1)]
    blood = next((points for limit, points in steps if hemoglobin_g_dl < limit), 0)
    pressures = ((90, 3), (100, 2), (110, 1))
    pressure = next((points for limit, points in pressures if systolic_mm_hg < limit), 0)
    signs = (rate_per_min >= 100) + melena + 2 * (syncope + hepatic + failure)
    return urea + blood + pressure + signs


def pneumonia_severity(
    *,
    sex: str,
    age_y: float,
    rate_per_min: float,
    temperature_c: float,
    ph: float,
    breaths_per_min: float,
    systolic_mm_hg: float,
    bun_mg_dl: float,
    sodium_meq_l: float,
    glucose_mg_dl: float,
    hematocrit: float,
    oxygen_mm_hg: float,
    nursing_home: bool = False,
    neoplastic: bool = False,
    liver: bool = False,
    failure: bool = False,
    cerebrovascular: bool = False,
    renal: bool = False,
    mental: bool = False,
    effusion: bool = False,
) -> int:
    """Return the PSI of community-acquired pneumonia. Source: Fine et al.: NEJM 1997;336:243."""
    tens = nursing_home + failure + cerebrovascular + renal + effusion + (rate_per_min >= 125)
    tens += (glucose_mg_dl >= 250) + (hematocrit < 30) + (oxygen_mm_hg < 60) - (sex == "Female")
    twenties = liver + mental + (breaths_per_min >= 30) + (systolic_mm_hg < 90)
    twenties += (bun_mg_dl >= 30) + (sodium_meq_l < 130)
    fever = temperature_c < 35 or temperature_c > 39.9
    return int(age_y) + 10 * tens + 15 * fever + 20 * twenties + 30 * (neoplastic + (ph < 7.35))


def curb65(
    *,
    age_y: float,
    systolic_mm_hg: float,
    diastolic_mm_hg: float,
    bun_mg_dl: float,
    breaths_per_min: float,
    confusion: bool = False,
) -> int:
    """Return the severity of pneumonia, 0 to 5. Source: Lim et al.: Thorax 2003;58:377-382."""
    low = systolic_mm_hg < 90 or diastolic_mm_hg <= 60
    return confusion + (bun_mg_dl > 19) + (breaths_per_min >= 30) + low + (age_y >= 65)


def perc_rule(
    *,
    age_y: float,
    rate_per_min: float,
    saturation: float,
    leg: bool = False,
    hemoptysis: bool = False,
    surgery: bool = False,
    past_embolism: bool = False,
    past_thrombosis: bool = False,
    hormones: bool = False,
) -> int:
    """Return the number of criteria met, 0 to 8. Source: Kline et al.: J Thromb Haemost 2004."""
    measured = (age_y >= 50) + (rate_per_min >= 100) + (saturation < 95)
    return measured + leg + hemoptysis + surgery + (past_embolism or past_thrombosis) + hormones


def sirs_criteria(
    temperature_c: float,
    rate_per_min: float,
    breaths_per_min: float,
    leukocytes_per_ul: float,
    carbon_dioxide_mm_hg: float = 40,
) -> int:
    """Return the number of criteria met, 0 to 4. Source: Bone et al.: Chest 1992;101:1644-1655."""
    breathing = breaths_per_min > 20 or carbon_dioxide_mm_hg < 32
    cells = leukocytes_per_ul > 12_000 or leukocytes_per_ul < 4_000
    temperature = temperature_c > 38 or temperature_c < 36
    return temperature + (rate_per_min > 90) + cells + breathing
