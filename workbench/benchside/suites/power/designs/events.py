"""Scenarios with a yes/no outcome, five per design; the last of each is held out for tests."""

from __future__ import annotations

from benchside.suites.power.designs.counted import Counted

ONE_SAMPLE = (
    Counted(
        "phase2-response",
        "A single-arm phase II study tests whether the response rate of a new lymphoma regimen "
        "exceeds the historical rate, by a z test of one proportion.",
        "patients", "response", "response", (0.15, 0.45), False,
    ),
    Counted(
        "hand-hygiene",
        "An audit on intensive care units tests with a one-proportion z test whether the adherence "
        "to hand hygiene has risen above its former level.",
        "opportunities", "adherence", "adherent", (0.45, 0.7), False,
    ),
    Counted(
        "needle-biopsy-bleeding",
        "A radiology department tests by a one-proportion z test whether bleeding after needle "
        "biopsy has become rarer with a new device.",
        "biopsies", "bleeding", "bleeding", (0.1, 0.3), True,
    ),
    Counted(
        "vaccine-uptake",
        "A public health office tests with a z test of one proportion whether a reminder letter "
        "raises influenza vaccination above the usual uptake.",
        "people", "vaccination", "vaccinated", (0.3, 0.6), False,
    ),
    Counted(
        "missed-appointments",
        "An outpatient clinic tests by a one-proportion z test whether text messages bring missed "
        "appointments below the usual rate.",
        "appointments", "a missed appointment", "missed", (0.15, 0.35), True,
    ),
)  # fmt: skip

TWO_GROUPS = (
    Counted(
        "surgical-site-infection",
        "A randomised trial compares surgical site infections between skin preparation with "
        "chlorhexidine and with iodine.",
        "patients", "infection", "infection", (0.12, 0.3), True, ("chlorhexidine", "iodine"),
    ),
    Counted(
        "smoking-cessation",
        "Smokers are randomised to counselling by telephone or to a leaflet, and abstinence at six "
        "months is compared.",
        "smokers", "abstinence", "abstinent", (0.1, 0.3), False, ("counselling", "leaflet"),
    ),
    Counted(
        "marker-relapse",
        "A prognostic study compares the two-year relapse proportion of marker-positive patients "
        "with that of marker-negative ones.",
        "patients", "relapse", "relapse", (0.2, 0.45), False, ("positive", "negative"),
    ),
    Counted(
        "pressure-ulcers",
        "Residents of nursing homes at risk of pressure ulcers get a two-hourly turning schedule "
        "or usual care; new ulcers are compared.",
        "residents", "a new ulcer", "ulcer", (0.15, 0.35), True, ("turning", "usual-care"),
    ),
    Counted(
        "migraine-response",
        "A placebo-controlled trial of a CGRP antibody compares the proportions of patients whose "
        "migraine days fall by half.",
        "patients", "response", "response", (0.2, 0.4), False, ("antibody", "placebo"),
    ),
)  # fmt: skip

NONINFERIORITY = (
    Counted(
        "short-antibiotics",
        "A trial is to show that five days of antibiotics are not inferior to ten days in the cure "
        "of pneumonia.",
        "patients", "cure", "cure", (0.78, 0.93), False, ("short", "long"),
    ),
    Counted(
        "oral-iron-or-drip",
        "An oral regimen is to be shown not inferior to an infusion in the correction of anaemia.",
        "patients", "correction", "corrected", (0.6, 0.85), False, ("oral", "infusion"),
    ),
    Counted(
        "nurse-endoscopy",
        "Colonoscopy by trained nurses is to be shown not inferior to that by physicians in the "
        "proportion of complete examinations.",
        "examinations", "a complete examination", "complete", (0.85, 0.95), False,
        ("nurse", "physician"),
    ),
    Counted(
        "single-dose-malaria",
        "A single-dose malaria treatment is to be shown not inferior to the three-day one in "
        "parasite clearance.",
        "patients", "clearance", "cleared", (0.8, 0.95), False, ("single-dose", "three-day"),
    ),
    Counted(
        "teledermatology",
        "Remote assessment of skin lesions is to be shown not inferior to the assessment in the "
        "clinic in the proportion of correct diagnoses.",
        "patients", "a correct diagnosis", "correct", (0.65, 0.88), False, ("remote", "clinic"),
    ),
)  # fmt: skip

CLUSTERED = (
    Counted(
        "practice-screening",
        "General practices are randomised to an invitation system or usual care, and attendance at "
        "bowel cancer screening is compared.",
        "practices", "attendance", "attended", (0.3, 0.55), False, ("invitation", "usual-care"),
    ),
    Counted(
        "ward-falls",
        "Hospital wards are randomised to a fall prevention programme or usual nursing; the "
        "proportions of patients who fall are compared.",
        "wards", "a fall", "fell", (0.1, 0.25), True, ("programme", "usual-nursing"),
    ),
    Counted(
        "village-diarrhoea",
        "Villages are randomised to water filters or no intervention; the proportions of children "
        "with diarrhoea are compared.",
        "villages", "diarrhoea", "diarrhoea", (0.2, 0.4), True, ("filter", "control"),
    ),
    Counted(
        "school-vaping",
        "Schools are randomised to a vaping prevention course or the normal curriculum; the "
        "proportions of pupils who vape after a year are compared.",
        "schools", "vaping", "vapes", (0.12, 0.3), True, ("course", "curriculum"),
    ),
    Counted(
        "dialysis-handwashing",
        "Dialysis units are randomised to feedback on catheter care or to none, and the "
        "proportions of patients with correct catheter care are compared.",
        "units", "correct care", "correct", (0.4, 0.65), False, ("feedback", "no-feedback"),
    ),
)  # fmt: skip
