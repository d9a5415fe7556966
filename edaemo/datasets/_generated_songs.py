"""Synthesise songs of artificial studies from five parameters, and measure their sound."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.signal import find_peaks
from scipy.special import ndtr

AUDIO_RATE = 16_000  # Hz

STYLE = ("tempo", "mode", "loudness", "brightness", "density")
# Loadings of the five parameters (rows) on valence, arousal and three properties without emotion
# (columns). The matrix is orthogonal, so the parameters determine the emotion without loss.
LOADINGS = np.array(
    [
        [0.3, 0.5, 0.5, 0.5, -0.4],
        [0.8, 0.0, 0.0, 0.0, 0.6],
        [-0.3, 0.5, 0.5, -0.5, 0.4],
        [0.3, 0.5, -0.5, -0.5, -0.4],
        [-0.3, 0.5, -0.5, 0.5, 0.4],
    ]
)

SLOTS = 16  # sixteenth notes in a bar
ROOTS = (0, 5, 7, 0)  # of the chord of each bar, in semitones above the key
NOTE = 0.35  # s
FADE = 0.1  # s, time constant of a note
HIGHEST = 7_500.0  # Hz, of a note's harmonics
SWELL = 1.0  # an accent has twice the amplitude of the surrounding sound
SWELL_WIDTH = 0.8  # s, standard deviation

# Krumhansl and Kessler (1982): fit of each semitone above the key in major and in minor.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])

ENVELOPE_RATE = 100  # Hz
FRAME = 2048  # samples
MEASURES = (
    "loudness",
    "loudness_std",
    "spectral_centroid",
    "spectral_slope",
    "zero_crossing_rate",
    "onset_strength",
    "onset_density",
    "tempo",
    "onsets_per_beat",
    "mode",
)


def style_parameters(emotion: np.ndarray, free: np.ndarray) -> dict[str, np.ndarray]:
    """Map emotion, (n, 2), and three free properties, (n, 3), to the five parameters.

    Tempo: beats per minute, 85 to 150. Mode: share of bars in major. Loudness: root mean square in
    dB of full scale. Brightness: exponent of the decrease of the harmonics. Density: share of
    sixteenth notes that sound.
    """
    tempo, mode, loudness, brightness, density = LOADINGS @ np.hstack([emotion, free]).T
    return {
        "tempo": 85.0 * (150.0 / 85.0) ** ndtr(tempo),
        "mode": ndtr(mode),
        "loudness": np.clip(-29.0 + 4.0 * loudness, -41.0, -21.0),
        "brightness": np.clip(-2.0 + 0.5 * brightness, -3.5, -0.5),
        "density": 0.1 + 0.8 * ndtr(density),
    }


def synthesise(song: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Synthesise a song: chords on the beats, notes between them, louder at the accents.

    Returns
    -------
    ndarray of shape (n_samples,)
        Mono, float32, AUDIO_RATE samples per second, within -1 to 1.
    """
    n_samples = round(song["duration"] * AUDIO_RATE)
    slot = 60.0 / song["tempo"] / 4  # s
    n_slots = int(song["duration"] / slot)
    n_bars = n_slots // SLOTS + 1
    third = 3 + (rng.permutation(n_bars) < round(song["mode"] * n_bars))
    key = 57 + rng.integers(12)  # MIDI, from the A below middle C
    sounds = rng.random(n_slots) < song["density"]
    tone = rng.integers(3, size=n_slots)
    notes: dict[int, np.ndarray] = {}
    audio = np.zeros(n_samples + round(NOTE * AUDIO_RATE) + 1)
    for place in range(n_slots):
        bar = place // SLOTS
        chord = key + ROOTS[bar % len(ROOTS)] + np.array([0, third[bar], 7])
        on_beat = place % 4 == 0
        start = round(place * slot * AUDIO_RATE)
        for pitch in chord if on_beat else chord[[tone[place]]] if sounds[place] else ():
            if pitch not in notes:
                notes[pitch] = _note(pitch, song["brightness"])
            audio[start : start + len(notes[pitch])] += notes[pitch]
    audio = audio[:n_samples] * _swell(n_samples, song["accents"])
    audio *= 10 ** (song["loudness"] / 20) / np.sqrt(np.mean(audio**2))
    return np.clip(audio, -1.0, 1.0).astype(np.float32)


def _note(pitch: int, brightness: float) -> np.ndarray:
    """Synthesise a note of unit energy; harmonic k has the amplitude k ** brightness."""
    time = np.arange(round(NOTE * AUDIO_RATE)) / AUDIO_RATE
    fundamental = 440.0 * 2.0 ** ((pitch - 69) / 12)
    turn = np.exp(2j * np.pi * fundamental * time)
    harmonics = np.zeros_like(turn)
    for k in range(int(HIGHEST / fundamental), 0, -1):  # Horner's rule
        harmonics = (harmonics + k**brightness) * turn
    wave = harmonics.imag * np.exp(-time / FADE)
    return wave / np.sqrt(np.sum(wave**2))


def _swell(n_samples: int, accents: np.ndarray) -> np.ndarray:
    """Return the gain over time: 1, and more around each accent."""
    time = np.arange(0, n_samples / AUDIO_RATE + 0.1, 0.05)
    from_accent = (time - np.asarray(accents)[:, None]) / SWELL_WIDTH
    swell = 1.0 + SWELL * np.exp(-(from_accent**2) / 2).max(axis=0)
    return np.interp(np.arange(n_samples) / AUDIO_RATE, time, swell)


def measure_audio(audio: np.ndarray) -> np.ndarray:
    """Measure a song sampled at AUDIO_RATE; return one float32 for each of MEASURES.

    Root mean square (dB of full scale) and its standard deviation over frames of 10 ms (dB);
    centroid of the mean amplitude spectrum (Hz) and slope of the spectrum from 250 Hz on (dB per
    octave); zero crossings per second; mean rise of the loudness (dB per 10 ms); onsets per second;
    tempo (beats per minute, 80 to 160) from the autocorrelation of the rises; onsets per beat;
    correlation of the pitches with the best major key minus that with the best minor key.
    """
    hop = AUDIO_RATE // ENVELOPE_RATE
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop).astype(float)
    energy = np.mean(frames**2, axis=1)
    whole = energy.mean() + 1e-10
    loudness = 10 * np.log10(energy / whole + 0.3)
    rise = np.maximum(np.diff(loudness), 0.0)
    onsets, _ = find_peaks(rise, height=1.5, distance=5)
    density = len(onsets) / len(audio) * AUDIO_RATE
    tempo = _tempo(rise)
    frequency, spectrum = _spectrum(audio)
    octaves, decibels = np.log2(frequency[32:]), 20 * np.log10(spectrum[32:] + 1e-10)
    values = (
        10 * np.log10(whole),
        loudness.std(),
        spectrum @ frequency / (spectrum.sum() + 1e-10),
        np.polyfit(octaves, decibels, 1)[0],
        np.count_nonzero(np.diff(np.signbit(audio))) / len(audio) * AUDIO_RATE,
        rise.mean(),
        density,
        tempo,
        60 * density / tempo,
        _majorness(frequency, spectrum),
    )
    return np.asarray(values, dtype=np.float32)


def _spectrum(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in Hz and their amplitudes, averaged over frames."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    return np.fft.rfftfreq(FRAME, 1 / AUDIO_RATE), np.sqrt(power.mean(axis=0))


def _tempo(rise: np.ndarray) -> float:
    """Return the beats per minute with the highest autocorrelation at the first four multiples."""
    around = rise - rise.mean()
    spectrum = np.fft.rfft(around, 2 * len(around))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    tempo = np.arange(80.0, 160.5, 0.5)
    beat = 60 * ENVELOPE_RATE / tempo
    lag = np.arange(len(around))
    repeats = [np.interp(k * beat, lag, correlation[: len(around)]) for k in (1, 2, 3, 4)]
    return float(tempo[np.argmax(np.sum(repeats, axis=0))])


def _majorness(frequency: np.ndarray, spectrum: np.ndarray) -> float:
    """Return how much better the pitches from 100 to 2000 Hz fit a major key than a minor key."""
    heard = (frequency > 100) & (frequency < 2000)
    pitch = np.rint(12 * np.log2(frequency[heard] / 440.0)).astype(int) % 12
    chroma = np.bincount(pitch, spectrum[heard], minlength=12)
    keys = np.arange(12)[:, None] + np.arange(12)
    fits = [
        np.corrcoef(chroma, profile[(np.arange(12) - keys[:, :1]) % 12])[0, 1:].max()
        for profile in (MAJOR, MINOR)
    ]
    return fits[0] - fits[1]
