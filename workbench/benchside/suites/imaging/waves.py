"""Scenes of EDF files: ECG, breathing and pulse with known beats, rates, artefacts and delays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchside.suites.imaging import measure
from benchside.suites.imaging.edf import read_edf, write_edf
from benchside.suites.imaging.scene import Scene, choice, whole, within
from benchside.task import AnswerSchema

Floats = npt.NDArray[np.float64]
RATE = 200
SECONDS = 30
FILE = "recording.edf"
SHOW = (
    f"signals, rate = read_edf({FILE!r})\nfor label in signals:\n"
    "    plt.plot(np.arange(5 * rate) / rate, signals[label][: 5 * rate], label=label)\n"
    "plt.xlabel('s')\nplt.legend()\nplt.show()"
)


def ecg(rng: np.random.Generator, times: Floats) -> Floats:
    """Return an ECG in mV: at each time a QRS of 1.2 mV and a T wave; drift, noise."""
    clock = np.arange(RATE * SECONDS) / RATE
    wave = 0.1 * np.sin(2 * np.pi * 0.2 * clock + rng.uniform(0, 6))
    for time in times:
        wave += 1.2 * np.exp(-(((clock - time) / 0.012) ** 2))
        wave += 0.2 * np.exp(-(((clock - time - 0.25) / 0.05) ** 2))
    return np.asarray(wave + rng.normal(0, 0.02, len(clock)))


def beat_times(rng: np.random.Generator, steps: Floats) -> Floats:
    """Return the times of beats, s, on the grid of samples, from the steps between them."""
    times = rng.uniform(0.4, 0.8) + np.concatenate([[0.0], np.cumsum(steps)])
    times = np.round(times * RATE) / RATE
    return np.asarray(times[times < SECONDS - 0.6])


def _regular(rng: np.random.Generator) -> Floats:
    step = 60 / rng.uniform(50, 110)
    return np.asarray(step * rng.uniform(0.97, 1.03, 60))


def _recording(signals: dict[str, Floats], unit: str = "mV") -> dict[str, bytes]:
    limits = {
        label: round(float(np.abs(one).max()) * 1.1 + 0.1, 2) for label, one in signals.items()
    }
    return {FILE: write_edf(signals, RATE, unit, limits)}


def heart_rate(rng: np.random.Generator, seed: str) -> Scene:
    """Mean heart rate."""
    times = beat_times(rng, _regular(rng))
    return Scene(
        _recording({"ECG": ecg(rng, times)}),
        f"`{FILE}` (EDF, 16-bit) has the signal ECG. What is the mean heart rate in beats per "
        "minute, "
        "from the mean interval between R peaks?",
        60 / float(np.diff(times).mean()),
        measure.heart_rate,
        (FILE, "ECG"),
        AnswerSchema(kind="number", unit="per minute"),
        within(0.0, 0.01),
        (read_edf, measure.beats),
        SHOW,
    )


def pause(rng: np.random.Generator, seed: str) -> Scene:
    """The longest RR interval."""
    steps = _regular(rng)
    steps[int(rng.integers(3, 10))] *= rng.uniform(1.5, 2.5)
    times = beat_times(rng, steps)
    return Scene(
        _recording({"ECG": ecg(rng, times)}),
        f"The ECG in `{FILE}` (EDF, 16-bit, signal ECG) has a pause. How long is the longest "
        "interval "
        "between two R peaks, in ms?",
        1000 * float(np.diff(times).max()),
        measure.longest_interval,
        (FILE, "ECG"),
        AnswerSchema(kind="number", unit="ms"),
        within(15.0, 0.0),
        (read_edf, measure.beats),
        SHOW,
    )


def premature(rng: np.random.Generator, seed: str) -> Scene:
    """Number of premature beats."""
    steps = _regular(rng)
    count = int(rng.integers(1, 8))
    for place in rng.permutation(np.arange(2, 23, 3))[:count]:
        steps[place] *= 0.65
        steps[place + 1] *= 1.35
    times = beat_times(rng, steps)
    gaps = np.diff(times)
    schema, grader = whole("number of premature beats")
    return Scene(
        _recording({"ECG": ecg(rng, times)}),
        f"How many premature beats has the ECG in `{FILE}` (EDF, 16-bit, signal ECG)? A beat "
        "is premature "
        "where it comes after less than 80% of the median interval.",
        int((gaps < 0.8 * np.median(gaps)).sum()),
        measure.premature_beats,
        (FILE, "ECG"),
        schema,
        grader,
        (read_edf, measure.beats),
        SHOW,
    )


def breathing(rng: np.random.Generator, seed: str) -> Scene:
    """Breathing rate."""
    rate = float(rng.uniform(9, 28))
    clock = np.arange(RATE * SECONDS) / RATE
    wave = np.sin(2 * np.pi * rate / 60 * clock + rng.uniform(0, 6))
    wave += 0.2 * np.sin(2 * np.pi * 1.2 * clock) + rng.normal(0, 0.1, len(clock))
    return Scene(
        _recording({"Resp": 5 * wave}, "uV"),
        f"What is the breathing rate in breaths per minute in `{FILE}` (EDF, 16-bit, signal "
        "Resp)? The "
        "answer may be off by 4%.",
        rate,
        measure.breathing_rate,
        (FILE, "Resp"),
        AnswerSchema(kind="number", unit="per minute"),
        within(0.0, 0.04),
        (read_edf,),
        SHOW,
    )


def lead_off(rng: np.random.Generator, seed: str) -> Scene:
    """Seconds without a signal."""
    wave = ecg(rng, beat_times(rng, _regular(rng)))
    off = rng.permutation(SECONDS)[: int(rng.integers(2, 26))]
    for second in off:
        wave[second * RATE : (second + 1) * RATE] = 0.5
    schema, grader = whole("seconds")
    return Scene(
        _recording({"ECG": wave}),
        f"In some seconds of `{FILE}` (EDF, 16-bit, signal ECG) the electrode is off, and the "
        "signal "
        "does not change at all. Counting whole seconds from the start, how many are these?",
        len(off),
        measure.flat_seconds,
        (FILE, "ECG"),
        schema,
        grader,
        (read_edf,),
        SHOW,
    )


def strongest(rng: np.random.Generator, seed: str) -> Scene:
    """The signal with the largest range in physical units, whose digital range says nothing."""
    labels = ("Fp1", "C3", "O1", "T4")
    sizes = rng.permutation([20.0, 45.0, 80.0, 120.0])
    clock = np.arange(RATE * SECONDS) / RATE
    signals = {
        label: size * np.sin(2 * np.pi * rng.uniform(2, 12) * clock) + rng.normal(0, 1, len(clock))
        for label, size in zip(labels, sizes, strict=True)
    }
    limits = {label: round(float(rng.uniform(1.1, 6) * 125), 1) for label in labels}
    schema, grader = choice("label", *labels)
    return Scene(
        {FILE: write_edf(signals, RATE, "uV", limits)},
        f"Which signal in `{FILE}` (EDF, 16-bit) has the largest range in µV? Mind each "
        "signal's scale.",
        labels[int(np.argmax(sizes))],
        measure.strongest_signal,
        (FILE,),
        schema,
        grader,
        (read_edf,),
        SHOW,
    )


def transit(rng: np.random.Generator, seed: str) -> Scene:
    """Delay of the pulse behind the heart."""
    delay = int(rng.integers(20, 70))
    clock = np.arange(RATE * SECONDS) / RATE
    wave = np.zeros(len(clock))
    for time in beat_times(rng, _regular(rng) * rng.uniform(0.8, 1.2, 60)):
        wave += np.exp(-(((clock - time) / 0.06) ** 2))
    signals = {"Neck": wave, "Wrist": 0.7 * np.concatenate([np.zeros(delay), wave[:-delay]])}
    noisy = {label: one + rng.normal(0, 0.03, len(clock)) for label, one in signals.items()}
    return Scene(
        _recording(noisy),
        f"By how many ms does the pulse wave Wrist come after the wave Neck in `{FILE}` (EDF, "
        "16-bit)?",
        1000 * delay / RATE,
        measure.delay,
        (FILE, "Neck", "Wrist"),
        AnswerSchema(kind="number", unit="ms"),
        within(6.0, 0.0),
        (read_edf,),
        SHOW,
    )
