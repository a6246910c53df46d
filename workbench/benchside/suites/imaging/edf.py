"""European Data Format: a writer of ours, and a reader that solutions take along as source.

Source: Kemp et al., Electroencephalogr Clin Neurophysiol 1992;82:391. All signals have one rate,
and a data record lasts one second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DIGITAL = 32767


def write_edf(signals: dict[str, Floats], rate: int, unit: str, limits: dict[str, float]) -> bytes:
    """Return an EDF file.

    Args:
        signals: label → samples in `unit`, all of the same whole number of seconds.
        rate: samples per second.
        limits: label → physical value of the largest digital one.
    """
    count, seconds = len(signals), len(next(iter(signals.values()))) // rate

    def text(value: object, width: int) -> bytes:
        return str(value)[:width].ljust(width).encode("ascii")

    head = text("0", 8) + text("X X X X", 80) + text("Startdate X X X X", 80)
    head += text("01.01.85", 8) + text("00.00.00", 8) + text(256 * (count + 1), 8)
    head += text("", 44) + text(seconds, 8) + text(1, 8) + text(count, 4)
    fields = [
        [text(label, 16) for label in signals],
        [text("", 80) for _ in signals],
        [text(unit, 8) for _ in signals],
        [text(-limits[label], 8) for label in signals],
        [text(limits[label], 8) for label in signals],
        [text(-DIGITAL, 8) for _ in signals],
        [text(DIGITAL, 8) for _ in signals],
        [text("", 80) for _ in signals],
        [text(rate, 8) for _ in signals],
        [text("", 32) for _ in signals],
    ]
    digital = np.stack(
        [
            np.clip(np.round(samples / limits[label] * DIGITAL), -DIGITAL, DIGITAL)
            for label, samples in signals.items()
        ]
    )  # (signals, seconds * rate)
    records = digital.reshape(count, seconds, rate).transpose(1, 0, 2)
    return head + b"".join(b"".join(one) for one in fields) + records.astype("<i2").tobytes()


def read_edf(path):  # type: ignore[no-untyped-def]
    """Return the signals of an EDF file, label → samples in physical units, and their rate."""
    import numpy as np  # noqa: PLC0415  (this source is a cell of its own)

    with open(path, "rb") as file:  # noqa: PTH123
        raw = file.read()
    count, seconds = int(raw[252:256]), int(raw[236:244])
    place, table = 256, []
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32):
        field = raw[place : place + width * count].decode("ascii")
        table.append([field[i * width : (i + 1) * width].strip() for i in range(count)])
        place += width * count
    rate = int(table[8][0])
    digital = np.frombuffer(raw[place:], "<i2").reshape(seconds, count, rate)
    signals = {}
    for i, label in enumerate(table[0]):
        low, high, first, last = (float(table[k][i]) for k in (3, 4, 5, 6))
        samples = digital[:, i].reshape(-1).astype(float)
        signals[label] = low + (samples - first) * (high - low) / (last - first)
    return signals, rate
