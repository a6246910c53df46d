"""All cohorts by name."""

from __future__ import annotations

from benchside.suites.cohorts import followed, measured
from benchside.suites.cohorts.cohort import Cohort


def catalogue() -> dict[str, Cohort]:
    """Load every cohort; name → cohort, in a fixed order."""
    cohorts = (
        followed.lung(),
        followed.gbsg2(),
        followed.lymph_node(),
        followed.kidney_transplant(),
        followed.larynx(),
        followed.leukemia(),
        followed.actg175(),
        followed.lupus(),
        followed.lymphoma(),
        followed.aids_entry(),
        followed.heart_transplant(),
        followed.waiting_list(),
        measured.breast_cancer(),
        measured.diabetes(),
        measured.health_insurance(),
        measured.county_cancer(),
        measured.china_smoking(),
        measured.fertility(),
    )
    return {cohort.name: cohort for cohort in cohorts}
