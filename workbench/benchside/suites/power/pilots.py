"""The image "power.pilot": one small seeded data set per scenario that has one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchside.suites.power.study import Design, Draw, Sample, Wording
from benchside_kernels.image import DEFAULT_IMPORTS, ImageSource

IMAGE = "power.pilot"
SITES = ("A", "B", "C")
DESCRIPTION = """\
`pilots` is a dict: name of a pilot study → DataFrame with one row per subject (per patient, pair or
sample, as the task says), a `site` column (A, B or C), and the columns that the tasks name. Some
values are missing. Tasks that need no pilot data state all parameters in words.
`stats` is `scipy.stats`, `sms` is `statsmodels.stats.api`.
"""


def make_pilots(designs: tuple[Design[Wording], ...], seed: int) -> dict[str, pd.DataFrame]:
    """Return the pilot data of all scenarios."""
    pilots = {}
    for number, design in enumerate(designs):
        for place, wording in enumerate(design.wordings):
            if design.pilot is not None:
                rng = np.random.default_rng([seed, number, place])
                pilots[wording.key] = _with_gaps(rng, design.pilot(rng, wording))
    return pilots


def _with_gaps(rng: np.random.Generator, measured: pd.DataFrame) -> pd.DataFrame:
    """Add subject numbers and sites, and remove about 4% of the last column's values."""
    frame = measured.copy()
    frame.insert(0, "subject", np.arange(1, len(frame) + 1))
    frame.insert(1, "site", rng.choice(SITES, len(frame)))
    gaps = rng.random(len(frame)) < 0.04
    gaps[int(rng.integers(len(frame)))] = True  # at least one, so that every task must look
    last = frame.columns[-1]
    frame[last] = frame[last].astype(float).mask(gaps)
    return frame


def take_sample(draw: Draw, key: str, frame: pd.DataFrame) -> Sample:
    """Choose all rows, those of one site, or those of two sites; leave out missing values."""
    sites = draw.one_of((SITES, SITES, *[(site,) for site in SITES], ("A", "B"), ("B", "C")))
    rows = f"{_which(sites)}, leaving out rows with a missing value"
    text = f'the pilot study `pilots["{key}"]` ({rows})'
    code = f'pilot = pilots["{key}"]'
    if sites != SITES:
        code += f'\npilot = pilot[pilot["site"].isin({list(sites)!r})]'
    code += "\npilot = pilot.dropna()"
    return Sample(frame[frame["site"].isin(sites)].dropna(), text, code)


def _which(sites: tuple[str, ...]) -> str:
    if sites == SITES:
        return "all sites"
    return f"site {sites[0]} only" if len(sites) == 1 else f"sites {' and '.join(sites)} only"


def pilot_image(pilots: dict[str, pd.DataFrame]) -> ImageSource:
    """Return the image that all tasks of the suite share."""
    imports = (*DEFAULT_IMPORTS, "from scipy import stats", "import statsmodels.stats.api as sms")
    return ImageSource(
        IMAGE, variables={"pilots": pilots}, imports=imports, description=DESCRIPTION
    )
