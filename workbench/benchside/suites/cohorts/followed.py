"""The cohorts with follow-up: what each column means, who is compared, what is the event."""

from __future__ import annotations

from benchside.suites.cohorts import data
from benchside.suites.cohorts.cohort import Cohort, Factor, FollowUp, Level, Measure, contrast

LIFELINES = "Shipped with lifelines (MIT licence)."
STATSMODELS = "Shipped with statsmodels (BSD 3-clause licence)."


def lung() -> Cohort:
    """Advanced lung cancer."""
    return Cohort(
        name="lung",
        frame=data.lung(),
        people="patients with advanced lung cancer",
        columns={
            "inst": "institution code",
            "time": "survival time in days",
            "status": "1 = died, 0 = censored",
            "age": "age in years",
            "sex": "1 = male, 2 = female",
            "ph.ecog": "ECOG performance score rated by the physician, 0 (good) to 4",
            "ph.karno": "Karnofsky score rated by the physician, 0 (bad) to 100",
            "pat.karno": "Karnofsky score rated by the patient",
            "meal.cal": "calories consumed at meals, kcal per day",
            "wt.loss": "weight loss in the last six months, pounds; negative = gain",
        },
        source="Loprinzi CL et al., J Clin Oncol 1994;12(3):601-607. " + LIFELINES,
        measures=(
            Measure("age", "age", "years"),
            Measure("meal.cal", "daily calories consumed at meals", "kcal"),
            Measure("wt.loss", "weight loss in the last six months", "pounds"),
            Measure("pat.karno", "patient-rated Karnofsky score"),
            Measure("ph.karno", "physician-rated Karnofsky score"),
        ),
        contrasts=(
            contrast("sex", (2, "women"), (1, "men")),
            contrast(
                "ph.ecog", (1, "patients with ECOG score 1"), (0, "patients with ECOG score 0")
            ),
        ),
        outcomes=(contrast("status", (1, "patients who died"), (0, "censored patients")),),
        follow_up=FollowUp("time", "status", "death", "days", 365.25, (180, 270, 365, 540, 730)),
    )


def gbsg2() -> Cohort:
    """Node-positive breast cancer."""
    return Cohort(
        name="gbsg2",
        frame=data.gbsg2(),
        people="women with node-positive breast cancer (GBSG-2 trial)",
        columns={
            "horTh": "hormonal therapy: yes or no",
            "age": "age in years",
            "menostat": "menopausal status: Pre or Post",
            "tsize": "tumour size in mm",
            "tgrade": "tumour grade I, II or III",
            "pnodes": "number of positive lymph nodes",
            "progrec": "progesterone receptor, fmol/mg",
            "estrec": "oestrogen receptor, fmol/mg",
            "time": "recurrence-free survival time in days",
            "cens": "1 = recurrence or death, 0 = censored",
        },
        source=(
            "Schumacher M et al., J Clin Oncol 1994;12:2086-2093; Sauerbrei W, Royston P, "
            "J R Stat Soc A 1999;162:71-94. " + LIFELINES
        ),
        measures=(
            Measure("tsize", "tumour size", "mm"),
            Measure("age", "age", "years"),
            Measure("pnodes", "number of positive lymph nodes"),
            Measure("estrec", "oestrogen receptor level", "fmol/mg"),
            Measure("progrec", "progesterone receptor level", "fmol/mg"),
        ),
        contrasts=(
            contrast("horTh", ("yes", "women on hormonal therapy"), ("no", "women without it")),
            contrast("menostat", ("Post", "postmenopausal women"), ("Pre", "premenopausal women")),
        ),
        factors=(
            Factor(
                "tgrade",
                "tumour grade",
                (Level("I", "grade I"), Level("II", "grade II"), Level("III", "grade III")),
            ),
        ),
        outcomes=(
            contrast("cens", (1, "women with a recurrence or death"), (0, "censored women")),
        ),
        follow_up=FollowUp(
            "time", "cens", "recurrence or death", "days", 365.25, (365, 730, 1095, 1460, 1825)
        ),
    )


def lymph_node() -> Cohort:
    """The dates and overall survival of GBSG2."""
    return Cohort(
        name="lymph_node",
        frame=data.lymph_node(),
        people="women with node-positive breast cancer, with their calendar dates",
        columns={
            "id": "patient number",
            "diagnosis_date": "date of diagnosis (datetime)",
            "recurrence_date": "date of recurrence, or of last contact without one (datetime)",
            "last_date": "date of death, or of last contact alive (datetime)",
            "age": "age at diagnosis in years",
            "grade": "tumour grade 1, 2 or 3",
            "nodes": "number of positive lymph nodes",
            "hormone": "hormonal therapy: 1 = no, 2 = yes",
            "rectime": "days from diagnosis to recurrence_date",
            "censrec": "1 = recurrence, 0 = censored",
            "survtime": "days from diagnosis to last_date",
            "censdead": "1 = died, 0 = censored",
        },
        source="Schmoor C et al., J Clin Oncol 2000;18(8):1696-1708. " + LIFELINES,
        contrasts=(contrast("hormone", (2, "women on hormonal therapy"), (1, "women without it")),),
        outcomes=(contrast("censdead", (1, "women who died"), (0, "censored women")),),
        follow_up=FollowUp(
            "survtime", "censdead", "death", "days", 365.25, (730, 1095, 1460, 1825, 2190)
        ),
    )


def kidney_transplant() -> Cohort:
    """Kidney transplants."""
    return Cohort(
        name="kidney_transplant",
        frame=data.kidney_transplant(),
        people="kidney transplant recipients",
        columns={
            "time": "days from transplant to death or end of follow-up",
            "death": "1 = died, 0 = censored",
            "age": "age at transplant in years",
            "race": "black or white",
            "sex": "male or female",
        },
        source=(
            "Klein JP, Moeschberger ML, Survival Analysis, Springer 1997, data set D.3. "
            + LIFELINES
        ),
        notes="Sex and race are unfolded from the indicator columns of the packaged table.",
        measures=(Measure("age", "age at transplant", "years"),),
        contrasts=(
            contrast("race", ("black", "black recipients"), ("white", "white recipients")),
            contrast("sex", ("male", "male recipients"), ("female", "female recipients")),
        ),
        outcomes=(contrast("death", (1, "recipients who died"), (0, "censored recipients")),),
        follow_up=FollowUp("time", "death", "death", "days", 365.25, (365, 730, 1095, 1825, 2555)),
    )


def larynx() -> Cohort:
    """Cancer of the larynx."""
    return Cohort(
        name="larynx",
        frame=data.larynx(),
        people="men with cancer of the larynx",
        columns={
            "time": "years from first treatment to death or end of study",
            "death": "1 = died, 0 = censored",
            "age": "age at diagnosis in years",
            "stage": "stage I, II, III or IV",
        },
        source="Kardaun O, Statistica Neerlandica 1983;37:103-126. " + LIFELINES,
        notes="Stage is unfolded from the indicator columns of the packaged table.",
        measures=(Measure("age", "age at diagnosis", "years"),),
        contrasts=(contrast("stage", ("III", "men in stage III"), ("I", "men in stage I")),),
        factors=(
            Factor(
                "stage",
                "stage",
                tuple(Level(stage, f"stage {stage}") for stage in ("I", "II", "III", "IV")),
            ),
        ),
        outcomes=(contrast("death", (1, "men who died"), (0, "censored men")),),
        follow_up=FollowUp("time", "death", "death", "years", 1.0, (1.5, 2.5, 3.5, 4.5, 6.0)),
    )


def leukemia() -> Cohort:
    """6-mercaptopurine in acute leukaemia."""
    return Cohort(
        name="leukemia",
        frame=data.leukemia(),
        people="patients with acute leukaemia in remission",
        columns={
            "weeks": "weeks of remission",
            "relapse": "1 = relapse, 0 = censored",
            "sex": "1 = male, 0 = female",
            "log_wbc": "logarithm of the white blood cell count at entry",
            "arm": "6-MP (6-mercaptopurine) or placebo",
        },
        source=(
            "Freireich EJ et al., Blood 1963;21:699-716; table as in Kleinbaum DG, Klein M, "
            "Survival Analysis. " + LIFELINES
        ),
        notes="The arm is decoded from `Rx` (0 = 6-MP, 1 = placebo) of the packaged table.",
        measures=(Measure("log_wbc", "log white blood cell count"),),
        contrasts=(
            contrast("arm", ("6-MP", "patients on 6-MP"), ("placebo", "patients on placebo")),
            contrast("sex", (1, "male patients"), (0, "female patients")),
        ),
        outcomes=(contrast("relapse", (1, "patients who relapsed"), (0, "censored patients")),),
        follow_up=FollowUp("weeks", "relapse", "relapse", "weeks", 52.18, (6, 9, 12, 15, 20)),
    )


def actg175() -> Cohort:
    """Antiretroviral therapy in HIV."""
    return Cohort(
        name="actg175",
        frame=data.actg175(),
        people="HIV-infected adults randomised in ACTG protocol 175",
        columns={
            "pidnum": "patient number",
            "age": "age at baseline in years",
            "wtkg": "weight at baseline in kg",
            "hemo": "haemophilia: 1 = yes, 0 = no",
            "drugs": "history of intravenous drug use: 1 = yes, 0 = no",
            "karnof": "Karnofsky score, 0 to 100",
            "preanti": "days of antiretroviral therapy before the trial",
            "race": "1 = non-white, 0 = white",
            "gender": "1 = male, 0 = female",
            "str2": "antiretroviral history: 1 = experienced, 0 = naive",
            "symptom": "symptomatic HIV infection: 1 = yes, 0 = no",
            "cd40": "CD4 count at baseline, cells/mm3",
            "cd420": "CD4 count at 20 ± 5 weeks, cells/mm3",
            "cd496": "CD4 count at 96 ± 5 weeks, cells/mm3; missing where not measured",
            "cd80": "CD8 count at baseline, cells/mm3",
            "cd820": "CD8 count at 20 ± 5 weeks, cells/mm3",
            "cens": "1 = event (CD4 decline of 50% or more, AIDS, or death), 0 = censored",
            "days": "days to the event or to censoring",
            "arms": "0 = zidovudine, 1 = zidovudine + didanosine, 2 = zidovudine + zalcitabine, "
            "3 = didanosine",
        },
        source="Hammer SM et al., N Engl J Med 1996;335:1081-1090. " + LIFELINES,
        measures=(
            Measure("cd40", "baseline CD4 count", "cells/mm3"),
            Measure("wtkg", "baseline weight", "kg"),
            Measure("age", "age", "years"),
            Measure("cd496", "CD4 count at 96 weeks", "cells/mm3"),
            Measure("cd80", "baseline CD8 count", "cells/mm3"),
            Measure("preanti", "prior antiretroviral therapy", "days"),
        ),
        contrasts=(
            contrast("gender", (1, "men"), (0, "women")),
            contrast("str2", (1, "antiretroviral-experienced patients"), (0, "naive patients")),
            contrast("symptom", (1, "symptomatic patients"), (0, "asymptomatic patients")),
            contrast(
                "drugs", (1, "patients with a history of drug use"), (0, "patients without one")
            ),
        ),
        factors=(
            Factor(
                "arms",
                "treatment arm",
                tuple(
                    Level(code, words)
                    for code, words in enumerate(("ZDV", "ZDV + ddI", "ZDV + ddC", "ddI"))
                ),
            ),
        ),
        outcomes=(contrast("cens", (1, "patients with an event"), (0, "censored patients")),),
        follow_up=FollowUp(
            "days", "cens", "CD4 decline, AIDS or death", "days", 365.25, (365, 540, 730, 900, 1050)
        ),
    )


def lupus() -> Cohort:
    """Systemic lupus erythematosus."""
    return Cohort(
        name="lupus",
        frame=data.lupus(),
        people="patients with systemic lupus erythematosus",
        columns={
            "id": "patient number",
            "dead": "1 = died, 0 = censored",
            "male": "1 = male, 0 = female",
            "white": "1 = white, 0 = other",
            "age_at_diagnosis": "age at diagnosis in years; one is missing",
            "months_onset_to_diagnosis": "months from estimated onset to diagnosis",
            "diagnosis_month": "month of diagnosis, text YYYY-MM",
            "last_month": "month of last observation, text YYYY-MM",
            "years_followed": "years from diagnosis to death or last observation",
        },
        source="Merrell M, Shulman LE, J Chronic Dis 1955;1(1):12-32. " + LIFELINES,
        measures=(
            Measure("months_onset_to_diagnosis", "time from onset to diagnosis", "months"),
            Measure("age_at_diagnosis", "age at diagnosis", "years"),
        ),
        contrasts=(contrast("white", (1, "white patients"), (0, "other patients")),),
        outcomes=(contrast("dead", (1, "patients who died"), (0, "censored patients")),),
        follow_up=FollowUp(
            "years_followed", "dead", "death", "years", 1.0, (0.5, 1.0, 1.5, 2.0, 3.0)
        ),
    )


def lymphoma() -> Cohort:
    """Diffuse histiocytic lymphoma."""
    return Cohort(
        name="lymphoma",
        frame=data.lymphoma(),
        people="patients with diffuse histiocytic lymphoma",
        columns={
            "stage": "III or IV",
            "days": "days of follow-up",
            "death": "1 = died, 0 = censored",
        },
        source=(
            "McKelvey EM et al., Cancer 1976;38:1484-1493, as tabulated by StatsDirect. "
            + LIFELINES
        ),
        contrasts=(
            contrast("stage", ("IV", "patients in stage IV"), ("III", "patients in stage III")),
        ),
        outcomes=(contrast("death", (1, "patients who died"), (0, "censored patients")),),
        follow_up=FollowUp("days", "death", "death", "days", 365.25, (30, 60, 90, 120, 180)),
    )


def aids_entry() -> Cohort:
    """Late entry in the Multicenter AIDS Cohort Study."""
    return Cohort(
        name="aids_entry",
        frame=data.aids_entry(),
        people="men with AIDS of the Multicenter AIDS Cohort Study",
        columns={
            "aids_year": "decimal calendar year of the AIDS diagnosis",
            "entry": "years from AIDS diagnosis to study entry (0 = at diagnosis)",
            "exit": "years from AIDS diagnosis to death or censoring",
            "death": "1 = died, 0 = censored",
        },
        source="Cole SR, Hudgens MG, AIDS 2010;24(16):2423-2431. " + LIFELINES,
        measures=(Measure("exit", "time from AIDS diagnosis to death or censoring", "years"),),
    )


def heart_transplant() -> Cohort:
    """Survival after heart transplantation."""
    return Cohort(
        name="heart_transplant",
        frame=data.heart_transplant(),
        people="recipients of a heart transplant at Stanford",
        columns={
            "days": "days from surgery to death or censoring",
            "death": "1 = died, 0 = censored",
            "age": "age at surgery in years",
        },
        source="Miller R, Biometrika 1976;63(3):449-464. " + STATSMODELS,
        measures=(Measure("age", "age at surgery", "years"),),
        outcomes=(contrast("death", (1, "recipients who died"), (0, "censored recipients")),),
        follow_up=FollowUp("days", "death", "death", "days", 365.25, (60, 120, 365, 600, 730)),
    )


def waiting_list() -> Cohort:
    """The heart transplant waiting list in intervals."""
    return Cohort(
        name="waiting_list",
        frame=data.waiting_list(),
        people="intervals of 103 candidates of the Stanford heart transplant programme",
        columns={
            "id": "patient number; a transplanted patient has two intervals",
            "start": "first day of the interval since acceptance, exclusive",
            "stop": "last day of the interval, inclusive",
            "event": "1 = died at `stop`, 0 = not",
            "age": "age at acceptance in years",
            "year": "years from 1 November 1967 to acceptance",
            "surgery": "1 = previous bypass surgery",
            "transplant": "1 = with transplant during the interval, 0 = waiting",
        },
        source="Crowley J, Hu M, J Am Stat Assoc 1977;72:27-36. " + LIFELINES,
        notes="Ages are shifted back by the 48 years that the packaged table subtracts.",
    )
