"""Simulate the skin conductance of a trial of an artificial study from its physiology."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from scipy.signal import lfilter

SIZE_SPREAD = 0.4  # of the logarithm of the responses' sizes in one trial
LEAD = 15.0  # s before the trial; responses in this time still decay in the trial
WANDER = 0.01  # of the level
WANDER_PERIOD = 90.0  # s

ARTEFACTS = ("spike", "lost_contact", "saturated", "quantized")
SPIKE_SECONDS = 0.2, 0.6
SPIKE_HEIGHT = 3.0, 6.0  # µS
LOST_SECONDS = 1.0, 4.0
SATURATED = 0.3  # of the trial
QUANTUM = 0.02  # µS
MOTION_SECONDS = 0.25, 1.5
MOTION_UP = 1 / 3  # share of the movements that increase the conductance


class Device(NamedTuple):
    """Signal and noise of a device and its site; pairs are median and spread of the logarithm."""

    gain: tuple[float, float]  # µS, of a response
    level: tuple[float, float]  # µS
    drift: float  # of the level in a minute, standard deviation
    depth: tuple[float, float]  # µS, amplitude of breathing in the recording
    noise: tuple[float, float]  # µS, of the sensor
    step: float = 0.0  # µS, of the converter
    motions: float = 0.0  # a minute
    motion: tuple[float, float] = (0.0, 0.0)  # µS


DEVICES = {
    "laboratory": Device((0.3, 0.7), (5.0, 0.6), 0.06, (0.02, 0.9), (0.004, 0.5)),
    # Matched to the development people of HKU956 and of the induced-stress study.
    "wristband": Device(
        (0.03, 2.2), (0.8, 1.2), 0.02, (0.002, 1.0), (0.0013, 0.6), 0.00128, 1.5, (0.01, 1.5)
    ),
}


class Physiology(Protocol):
    """The ground truth of a trial: a row of ``study.truth``."""

    stimulus: str
    duration: float
    response_rate: float
    response_size: float
    slow_constant: float
    fast_constant: float
    latency: float
    level: float
    drift: float
    breathing_rate: float
    breathing_depth: float
    sensor_noise: float
    artefact: str


class Recording(NamedTuple):
    """Skin conductance and its components in µS, and the position of its artefact in samples."""

    eda: np.ndarray
    phasic: np.ndarray
    tonic: np.ndarray
    noise: np.ndarray
    driver: np.ndarray
    positions: list[tuple[int, int]]


def record(
    rng: np.random.Generator,
    trial: Physiology,
    accents: np.ndarray,
    follows: float,
    sampling_rate: float,
    device: Device,
) -> Recording:
    """Simulate one trial; a share `follows` of its responses follows the song's accents (s)."""
    n = round(trial.duration * sampling_rate)
    driver = _driver(rng, trial, accents, follows, n, sampling_rate)
    phasic = respond(driver, trial.slow_constant, trial.fast_constant, sampling_rate)[-n:]
    time = np.arange(n) / sampling_rate
    waves = np.arange(1, 4)[:, None] * time / WANDER_PERIOD + rng.random((3, 1))
    wander = WANDER * rng.standard_normal(3) @ np.sin(2 * np.pi * waves)
    tonic = trial.level * (1 + trial.drift * time / 60 + wander)
    breath = np.sin(2 * np.pi * (trial.breathing_rate * time + rng.random()))
    noise = trial.breathing_depth * breath + trial.sensor_noise * rng.standard_normal(n)
    eda, positions = _spoil(rng, trial.artefact, phasic + tonic + noise, sampling_rate)
    if device.motions:
        eda = eda + _move(rng, device, n, sampling_rate)
    if device.step:
        eda = np.round(eda / device.step) * device.step
    return Recording(eda, phasic, tonic, noise, driver[-n:], positions)


def _move(rng: np.random.Generator, device: Device, n: int, sampling_rate: float) -> np.ndarray:
    """Draw the changes of a recording by movements of the electrodes."""
    changes, median = np.zeros(n), device.motion[0]
    for _ in range(rng.poisson(device.motions * n / sampling_rate / 60)):
        width = min(n, max(1, round(rng.uniform(*MOTION_SECONDS) * sampling_rate)))
        start = int(rng.integers(0, n - width + 1))
        height = median * np.exp(device.motion[1] * rng.standard_normal())
        sign = 1 if rng.random() < MOTION_UP else -1
        hump = np.sin(np.pi * np.arange(1, width + 1) / (width + 1))
        changes[start : start + width] += sign * height * hump
    return changes


def _driver(
    rng: np.random.Generator,
    trial: Physiology,
    accents: np.ndarray,
    follows: float,
    n: int,
    sampling_rate: float,
) -> np.ndarray:
    """Draw the sudomotor driver (µS/s), starting LEAD seconds before the trial."""
    seconds = n / sampling_rate
    before = -LEAD * spread_out(rng, round(trial.response_rate * LEAD / 60))
    during = seconds * spread_out(rng, max(1, round(trial.response_rate * seconds / 60)))
    follow = rng.random(len(during)) < follows
    during[follow] = rng.choice(accents, follow.sum()) + trial.latency
    during[0] = trial.latency  # response to the beginning of the song
    sizes = np.exp(SIZE_SPREAD * rng.standard_normal(len(before) + len(during)))
    sizes *= trial.response_size / sizes[len(before) :].mean()
    lead = round(LEAD * sampling_rate)
    samples = lead + np.floor(np.concatenate([before, during]) * sampling_rate).astype(int)
    driver = np.zeros(lead + n)
    np.add.at(driver, np.clip(samples, 0, lead + n - 1), sizes * sampling_rate)
    return driver


def spread_out(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw one number from each n-th part of 0 to 1, so that the numbers are spread out."""
    return (np.arange(n) + rng.random(n)) / max(n, 1)


def respond(driver: np.ndarray, slow: float, fast: float, sampling_rate: float) -> np.ndarray:
    """Filter the driver by a sampled Bateman function with peak 1."""
    peak = np.log(slow / fast) / (1 / fast - 1 / slow)  # s
    height = np.exp(-peak / slow) - np.exp(-peak / fast)
    a, b = np.exp(-1 / (slow * sampling_rate)), np.exp(-1 / (fast * sampling_rate))
    return lfilter([0, (a - b) / height / sampling_rate], [1, -(a + b), a * b], driver)


def _spoil(
    rng: np.random.Generator, kind: str, clean: np.ndarray, sampling_rate: float
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the recording with its artefact, and the samples (start, stop) that it covers."""
    n = len(clean)
    if kind == "quantized":
        return np.round(clean / QUANTUM) * QUANTUM, [(0, n)]
    if kind == "saturated":
        ceiling = np.quantile(clean, 1 - SATURATED)
        edges = np.flatnonzero(np.diff(clean >= ceiling, prepend=False, append=False)).tolist()
        return np.minimum(clean, ceiling), list(zip(edges[::2], edges[1::2], strict=True))
    if not kind:
        return clean, []
    seconds = rng.uniform(*(SPIKE_SECONDS if kind == "spike" else LOST_SECONDS))
    width = max(1, round(seconds * sampling_rate))
    start = int(rng.integers(round(sampling_rate), n - width))
    spoilt, covered = clean.copy(), slice(start, start + width)
    if kind == "spike":
        hump = np.sin(np.pi * np.arange(1, width + 1) / (width + 1))
        spoilt[covered] += rng.uniform(*SPIKE_HEIGHT) * hump
    else:
        spoilt[covered] = 0.0
    return spoilt, [(start, start + width)]
