"""Scenarios with a measured outcome, five per design; the last of each is held out for tests."""

from __future__ import annotations

from benchside.suites.power.designs.measured import Measured

ONE_SAMPLE = (
    Measured(
        "vitamin-d-elderly",
        "A survey of nursing-home residents asks whether their mean serum 25-hydroxyvitamin D "
        "differs from a published reference value; a one-sample t test is planned.",
        "residents", "serum 25-hydroxyvitamin D", "nmol/L", "vitamin_d", 48, (14, 26), 0,
    ),
    Measured(
        "assay-bias",
        "A clinical laboratory compares a new potassium assay with the certified value of a "
        "control serum, using a one-sample t test on replicate measurements.",
        "replicates", "measured potassium", "mmol/L", "potassium", 4.2, (0.1, 0.3), 2,
    ),
    Measured(
        "athlete-heart-rate",
        "Sports physicians test with a one-sample t test whether the mean resting heart rate of "
        "endurance athletes differs from the population norm.",
        "athletes", "resting heart rate", "beats/min", "heart_rate", 56, (6, 12), 0,
    ),
    Measured(
        "preterm-birth-weight",
        "A neonatal unit examines by a one-sample t test whether the mean birth weight of infants "
        "of mothers with gestational hypertension departs from the national mean.",
        "infants", "birth weight", "g", "birth_weight", 2900, (350, 600), 0,
    ),
    Measured(
        "sleep-shift-nurses",
        "An occupational health team wants to know, by a one-sample t test, whether nurses on "
        "rotating shifts sleep a mean time other than the recommended one.",
        "nurses", "sleep per day", "min", "sleep_min", 390, (45, 85), 0,
    ),
)  # fmt: skip

TWO_SAMPLE = (
    Measured(
        "statin-ldl",
        "A parallel-group trial of a new statin in adults with hypercholesterolaemia compares LDL "
        "cholesterol after 12 weeks between arms by the two-sample t test with equal variances.",
        "patients", "LDL cholesterol", "mg/dL", "ldl", 132, (24, 42), 0, ("placebo", "statin"),
    ),
    Measured(
        "knee-physiotherapy",
        "Patients after knee replacement are randomised to standard or intensive physiotherapy; "
        "the six-minute walk distance is compared by the two-sample t test with equal variances.",
        "patients", "six-minute walk distance", "m", "walk_m", 380, (60, 110), 0,
        ("standard", "intensive"),
    ),
    Measured(
        "troponin-marker",
        "A biomarker study compares log-transformed troponin between people with and without "
        "later heart failure, using the two-sample t test with equal variances.",
        "participants", "log troponin", "log ng/L", "log_troponin", 2.1, (0.5, 1.1), 2,
        ("case", "control"),
    ),
    Measured(
        "nurse-led-hba1c",
        "A nurse-led education programme for type 2 diabetes is compared with usual care; HbA1c "
        "at six months is analysed with the two-sample t test with equal variances.",
        "participants", "HbA1c", "%", "hba1c", 7.8, (0.9, 1.6), 2, ("programme", "usual-care"),
    ),
    Measured(
        "mouse-tumour-volume",
        "In a xenograft experiment, tumour volume at day 21 under a kinase inhibitor is compared "
        "with that under vehicle by the two-sample t test with equal variances.",
        "mice", "tumour volume", "mm³", "volume", 620, (110, 220), 0, ("inhibitor", "vehicle"),
    ),
)  # fmt: skip

PAIRED = (
    Measured(
        "salt-restriction",
        "Adults with mild hypertension restrict salt for eight weeks; systolic blood pressure "
        "before and after is compared by the paired t test.",
        "participants", "systolic blood pressure", "mmHg", "sbp", 146, (11, 19), 0,
    ),
    Measured(
        "mindfulness-stress",
        "Hospital staff fill in a perceived stress scale before and after a mindfulness course, "
        "and the scores are compared by the paired t test.",
        "staff members", "the stress score", "points", "stress", 22, (4.5, 8.5), 1,
    ),
    Measured(
        "iron-haemoglobin",
        "Haemoglobin is measured in women with iron deficiency before and after intravenous "
        "iron; the change is tested with the paired t test.",
        "women", "haemoglobin", "g/L", "hb", 108, (8, 15), 0,
    ),
    Measured(
        "pain-nerve-block",
        "Pain on a visual analogue scale is recorded in each patient before and one hour after a "
        "nerve block and compared by the paired t test.",
        "patients", "pain", "mm", "vas", 58, (14, 26), 0,
    ),
    Measured(
        "retina-laser",
        "Central retinal thickness of each treated eye is measured before and three months after "
        "laser therapy; the paired t test is used.",
        "eyes", "central retinal thickness", "µm", "thickness", 360, (45, 90), 0,
    ),
)  # fmt: skip

SEVERAL_GROUPS = (
    Measured(
        "dose-finding-crp",
        "A dose-finding trial compares C-reactive protein between three equally large arms by "
        "one-way analysis of variance.",
        "patients", "C-reactive protein", "mg/L", "crp", 14, (4, 8), 1, ("placebo", "low", "high"),
    ),
    Measured(
        "diet-weight-loss",
        "Four diets are compared for weight loss after six months by one-way analysis of "
        "variance, with the same number of participants on each diet.",
        "participants", "weight loss", "kg", "loss", 5.5, (2.5, 4.5), 1,
        ("low-fat", "low-carbohydrate", "Mediterranean", "control"),
    ),
    Measured(
        "genotype-enzyme",
        "Enzyme activity is compared between carriers of three genotypes, sampled in equal "
        "numbers, by one-way analysis of variance.",
        "carriers", "enzyme activity", "U/L", "activity", 85, (15, 30), 0, ("AA", "AG", "GG"),
    ),
    Measured(
        "wound-dressings",
        "A nursing study compares the healing time of leg ulcers under four dressings in equally "
        "large groups by one-way analysis of variance.",
        "patients", "healing time", "days", "days", 62, (14, 24), 0,
        ("gauze", "foam", "hydrogel", "alginate"),
    ),
    Measured(
        "rat-learning",
        "Rats reared in five housing conditions, in equal numbers, are compared in the time to "
        "find a hidden platform by one-way analysis of variance.",
        "rats", "the time to the platform", "s", "seconds", 34, (7, 13), 1,
        ("single", "pair", "group", "enriched", "exercise"),
    ),
)  # fmt: skip

NONINFERIORITY = (
    Measured(
        "generic-antihypertensive",
        "A trial is to show that a generic antihypertensive is not inferior to the branded drug; "
        "the outcome is the fall in systolic blood pressure (larger is better).",
        "patients", "the fall in systolic pressure", "mmHg", "fall", 15, (9, 15), 0,
        ("generic", "branded"),
    ),
    Measured(
        "telephone-rehabilitation",
        "Telephone-guided cardiac rehabilitation is to be shown not inferior to the centre-based "
        "one in peak oxygen uptake (larger is better).",
        "patients", "peak oxygen uptake", "mL/kg/min", "vo2", 22, (4, 7.5), 1,
        ("telephone", "centre"),
    ),
    Measured(
        "biosimilar-das28",
        "A biosimilar is to be shown not inferior to its reference in rheumatoid arthritis; the "
        "outcome is the improvement in DAS28 (larger is better).",
        "patients", "improvement in DAS28", "points", "das28", 2.2, (0.9, 1.5), 2,
        ("biosimilar", "reference"),
    ),
    Measured(
        "shorter-psychotherapy",
        "Eight sessions of psychotherapy are to be shown not inferior to sixteen; the outcome is "
        "the improvement on a depression scale (larger is better).",
        "clients", "improvement on the scale", "points", "improvement", 11, (6, 9.5), 1,
        ("short", "long"),
    ),
    Measured(
        "inhaler-fev1",
        "A propellant-free inhaler is to be shown not inferior to the marketed one; the outcome is "
        "trough FEV1 (larger is better).",
        "patients", "trough FEV1", "mL", "fev1", 1850, (220, 420), 0, ("new", "marketed"),
    ),
)  # fmt: skip

EQUIVALENCE = (
    Measured(
        "insulin-biosimilar",
        "Two insulins are compared for equivalence in HbA1c after 24 weeks by two one-sided tests.",
        "patients", "HbA1c", "%", "hba1c", 7.6, (0.8, 1.3), 2,
    ),
    Measured(
        "vaccine-lots",
        "Two lots of a vaccine are compared for equivalence of the mean log antibody titre by two "
        "one-sided tests.",
        "volunteers", "log titre", "log units", "log_titre", 3.1, (0.4, 0.8), 2,
    ),
    Measured(
        "home-blood-pressure",
        "Two cuffs are randomised between home users and compared for equivalence of mean "
        "systolic blood pressure by two one-sided tests.",
        "users", "systolic blood pressure", "mmHg", "sbp", 135, (11, 18), 0,
    ),
    Measured(
        "gel-or-cream",
        "A gel and a cream against psoriasis are compared for equivalence of the mean fall in the "
        "PASI score by two one-sided tests.",
        "patients", "fall in the PASI score", "points", "pasi", 8.5, (3, 5.5), 1,
    ),
    Measured(
        "video-consultation",
        "Video and face-to-face consultations are compared for equivalence of a mean satisfaction "
        "score by two one-sided tests.",
        "patients", "the satisfaction score", "points", "satisfaction", 74, (11, 19), 0,
    ),
)  # fmt: skip

CLUSTERED = (
    Measured(
        "practice-blood-pressure",
        "General practices are randomised to pharmacist-led care or usual care; systolic blood "
        "pressure of their patients is compared between the arms.",
        "practices", "systolic blood pressure", "mmHg", "sbp", 142, (13, 19), 0,
    ),
    Measured(
        "school-activity",
        "Schools are randomised to an activity programme or a waiting list; daily moderate to "
        "vigorous activity of the pupils is compared.",
        "schools", "daily activity", "min", "activity_min", 48, (14, 24), 0,
    ),
    Measured(
        "ward-delirium-score",
        "Hospital wards are randomised to a delirium-prevention bundle or usual nursing; a "
        "delirium severity score of the patients is compared.",
        "wards", "the severity score", "points", "score", 12, (4, 7), 1,
    ),
    Measured(
        "village-haemoglobin",
        "Villages are randomised to fortified flour or plain flour; haemoglobin of the children "
        "is compared between the arms.",
        "villages", "haemoglobin", "g/L", "hb", 112, (10, 16), 0,
    ),
    Measured(
        "care-home-gait",
        "Care homes are randomised to a balance training or to usual activities; gait speed of the "
        "residents is compared.",
        "homes", "gait speed", "cm/s", "gait", 68, (14, 24), 0,
    ),
)  # fmt: skip
