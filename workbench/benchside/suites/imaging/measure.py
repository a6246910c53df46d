"""How a solution measures: plain functions, sent to the kernel as source, so untyped and alone."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, arg-type"

from __future__ import annotations

import numpy as np

from benchside.suites.imaging.edf import read_edf


def hounsfield(path):
    """The image of a DICOM file after rescaling, and its header."""
    import pydicom  # noqa: PLC0415

    header = pydicom.dcmread(path)
    slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
    return header.pixel_array * slope + intercept, header


def area_above(path, threshold):
    """Area above a threshold, mm²."""
    image, header = hounsfield(path)
    row, column = (float(x) for x in header.PixelSpacing)
    return float((image > threshold).sum() * row * column)


def mean_in(path, top, left, bottom, right):
    """Mean of a rectangle."""
    return float(hounsfield(path)[0][top:bottom, left:right].mean())


def displayed(path, row, column):
    """Grey level from 0 to 255 of a pixel in the file's own window."""
    image, header = hounsfield(path)
    low = float(header.WindowCenter) - float(header.WindowWidth) / 2
    return float(np.clip((image[row, column] - low) / float(header.WindowWidth) * 255, 0, 255))


def marker_distance(path, threshold):
    """Distance of the centres of the two spots above a threshold, mm."""
    from scipy import ndimage  # noqa: PLC0415

    image, header = hounsfield(path)
    labels, count = ndimage.label(image > threshold)
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, count + 1)))
    step = (centres[0] - centres[1]) * [float(x) for x in header.PixelSpacing]
    return float(np.hypot(*step))


def volume_above(paths, threshold):
    """Volume above a threshold in a series, ml."""
    total, places = 0.0, []
    for path in paths:
        image, header = hounsfield(path)
        row, column = (float(x) for x in header.PixelSpacing)
        places.append(float(header.ImagePositionPatient[2]))
        total += (image > threshold).sum() * row * column
    places.sort()
    return float(total * (places[1] - places[0]) / 1000)


def highest_slice(paths):
    """Name of the file whose slice is the farthest towards the head."""
    return max(paths, key=lambda path: float(hounsfield(path)[1].ImagePositionPatient[2]))


def marker_side(path, threshold):
    """Side of the patient on which the spot above a threshold lies."""
    image, header = hounsfield(path)
    _, columns = np.nonzero(image > threshold)
    rightwards = float(header.ImageOrientationPatient[0]) > 0  # +x is the patient's left
    on_the_right_of_image = columns.mean() > image.shape[1] / 2
    return "left" if on_the_right_of_image == rightwards else "right"


def picture(path):
    """A PNG as an array of floats."""
    from PIL import Image  # noqa: PLC0415

    return np.asarray(Image.open(path)).astype(float)


def count_spots(path, threshold, least):
    """Number of connected bright regions of at least so many pixels."""
    from scipy import ndimage  # noqa: PLC0415

    labels, _ = ndimage.label(picture(path) > threshold)
    return int((np.bincount(labels.ravel())[1:] >= least).sum())


def largest_spot(path, threshold):
    """Pixels of the largest connected bright region."""
    from scipy import ndimage  # noqa: PLC0415

    labels, _ = ndimage.label(picture(path) > threshold)
    return int(np.bincount(labels.ravel())[1:].max())


def brightest_quadrant(path):
    """Where the mean is highest."""
    image = picture(path)
    h, w = image.shape[0] // 2, image.shape[1] // 2
    means = {
        "top left": image[:h, :w], "top right": image[:h, w:],
        "bottom left": image[h:, :w], "bottom right": image[h:, w:],
    }  # fmt: skip
    return max(means, key=lambda name: means[name].mean())


def stained_share(path):
    """Share of the tissue (anything that is not near white) that is brown, in percent."""
    image = picture(path)
    tissue = image.min(axis=2) < 200
    brown = tissue & (image[:, :, 0] > image[:, :, 2] + 40)
    return float(100 * brown.sum() / tissue.sum())


def stripe_period(path):
    """Period of vertical stripes, pixels."""
    profile = picture(path).mean(axis=0)
    n = 8192
    power = np.abs(np.fft.rfft(profile - profile.mean(), n))
    return float(n / power[1:].argmax() if power[1:].argmax() else 0)


def elongation(path, threshold):
    """Ratio of the standard deviations along the axes of a bright region."""
    points = np.argwhere(picture(path) > threshold).astype(float)
    low, high = np.linalg.eigvalsh(np.cov(points.T))
    return float(np.sqrt(high / low))


def beats(path, label):
    """Times of the beats of an ECG, s."""
    from scipy import signal  # noqa: PLC0415

    signals, rate = read_edf(path)
    wave = signals[label]
    slow = signal.medfilt(wave, 2 * (rate // 4) + 1)
    peaks, _ = signal.find_peaks(wave - slow, height=0.5, distance=rate // 4)
    return peaks / rate


def heart_rate(path, label):
    """Beats per minute, from the mean interval."""
    return float(60 / np.diff(beats(path, label)).mean())


def longest_interval(path, label):
    """The longest interval of two beats, ms."""
    return float(1000 * np.diff(beats(path, label)).max())


def premature_beats(path, label):
    """Number of beats that come after less than 80% of the median interval."""
    steps = np.diff(beats(path, label))
    return int((steps < 0.8 * np.median(steps)).sum())


def breathing_rate(path, label):
    """Breaths per minute, from the strongest frequency."""
    signals, rate = read_edf(path)
    wave = signals[label] - signals[label].mean()
    n = 1 << 19
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), n))
    frequency = np.arange(len(power)) * rate / n
    inside = (frequency > 0.05) & (frequency < 1.0)
    return float(60 * frequency[inside][power[inside].argmax()])


def flat_seconds(path, label):
    """Seconds of the recording in which a signal does not change at all."""
    signals, rate = read_edf(path)
    seconds = signals[label].reshape(-1, rate)
    return int((np.ptp(seconds, axis=1) < 1e-9).sum())


def strongest_signal(path):
    """Label of the signal with the largest range in physical units."""
    signals, _ = read_edf(path)
    return max(signals, key=lambda label: np.ptp(signals[label]))


def delay(path, first, second):
    """By how much a signal comes after another one, ms."""
    signals, rate = read_edf(path)
    a, b = (signals[name] - signals[name].mean() for name in (first, second))
    lag = np.correlate(b, a, "full").argmax() - (len(a) - 1)
    return float(1000 * lag / rate)


def sample_statistic(name, what):
    """A statistic of the stored pixels of a DICOM file that comes with pydicom."""
    import pydicom  # noqa: PLC0415
    from pydicom.data import get_testdata_file  # noqa: PLC0415

    pixels = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype(float)
    found = {"largest": pixels.max(), "mean": pixels.mean(), "deviation": pixels.std()}
    return float(found[what])


def coin_count(threshold, least):
    """Number of bright regions in the picture of coins that comes with scikit-image."""
    import skimage.data  # noqa: PLC0415
    from scipy import ndimage  # noqa: PLC0415

    labels, _ = ndimage.label(skimage.data.coins() > threshold)
    return int((np.bincount(labels.ravel())[1:] >= least).sum())
