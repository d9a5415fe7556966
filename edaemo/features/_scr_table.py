"""Tables of skin conductance responses (SCRs), with one row for each trial or event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from edaemo._validation import (
    IDENTITY,
    identity,
    identity_index,
    name_trial,
    plain_numbers,
    read_signals,
)
from edaemo.decomposition import (
    SMALLEST_US,
    Components,
    CvxEDA,
    DecompositionMethod,
    find_decomposition,
    find_responses,
    find_rises,
    scr_events,
    silence_rounding,
    trim_context,
)
from edaemo.preprocessing import (
    REPAIRS,
    Repaired,
    check_masking,
    decompose_trials,
    find_context,
    remove_breathing,
    repair_signals,
    signal_quality,
    unpack_study,
)

QUALITY = ("missing_share", "flat", "saturated_share", "n_spikes", "lost_contact_share")
EVENT_COLUMNS = (
    "complete",
    "response",
    "n_responses",
    "first_amplitude",
    "first_latency",
    "first_rise_time",
    "first_half_recovery_time",
    "largest_amplitude",
    "largest_latency",
    "largest_rise_time",
    "largest_half_recovery_time",
    "amplitude_sum",
    "magnitude",
    "baseline_level",
    "level_change",
    "tonic_level",
    "tonic_slope",
    "iscr",
    *QUALITY,
    "repaired_share",
)
# Types with a missing value, for the columns that are not float64.
EVENT_TYPES = {
    "response": "boolean",
    "n_responses": "Int64",
    "flat": "boolean",
    "n_spikes": "Int64",
}
# Times that differ by at most this number of samples are equal.
ROUNDING = 1e-6

Events: TypeAlias = pd.DataFrame | Sequence[float] | np.ndarray


@validate_params(
    {
        "trials": "no_validation",
        "sampling_rate": "no_validation",
        "method": [str, DecompositionMethod],
        "events": "no_validation",
        "latency": [tuple, list],
        "baseline": [Interval(Real, 0, None, closed="neither")],
        "min_amplitude": [Interval(Real, 0, 1, closed="both")],
        "min_amplitude_us": [Interval(Real, 0, None, closed="left"), None],
        "missing": [StrOptions({"raise", "interpolate", "mask"})],
        "repair": [StrOptions(set(REPAIRS)), None],
        "breathing": [StrOptions({"auto", "remove"}), None],
        "context": [Interval(Real, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def scr_table(
    trials: object,
    sampling_rate: float | None = None,
    *,
    method: str | DecompositionMethod = "bandpass",
    events: Events | None = None,
    latency: tuple[float, float] = (1.0, 4.0),
    baseline: float = 2.0,
    min_amplitude: float = 0.1,
    min_amplitude_us: float | None = SMALLEST_US,
    missing: str = "raise",
    repair: str | None = "interpolate",
    breathing: str | None = "auto",
    context: float | None = None,
) -> pd.DataFrame:
    """Return a table of skin conductance responses (SCRs), with one row for each trial or event.

    Each trial is decomposed independently. SCRs are those of
    :func:`edaemo.decomposition.scr_events` on its phasic component, in which the recording rises,
    too (its parameter `recording`). The terms are those of [1]_: an
    *amplitude* is that of a response that exists, and the mean over amplitudes leaves
    non-responses out; a *magnitude* is 0 for a non-response, so that its mean over trials or events
    includes them.

    Parameters
    ----------
    trials : DataFrame, Series, array of shape (n_trials, n_samples) or Bunch
        Raw recordings in microsiemens: a trials table (its column ``eda`` holds 1-D signals), a
        Series, object array or one-column frame of 1-D signals, a 2-D array of numbers, or the
        Bunch of a loader of :mod:`edaemo.datasets`.
    sampling_rate : float or None
        Samples per second (Hz). None uses the rate of the Bunch and is an error for other input.
    method : str or DecompositionMethod, default="bandpass"
        The decomposition: a registered name, or an object with settings, as in
        :class:`edaemo.preprocessing.EDADecomposer`. ``docs/responses.md`` compares the counts of
        the methods with the true ones.
    events : DataFrame, sequence of float or None, default=None
        Events within the trials, such as the onsets of stimuli; the table then has one row for each
        event. None: one row for each trial.

        A DataFrame has one row for each event: its ``onset`` in seconds from the first sample of
        the trial (negative in the context), the ids of its trial (any of ``subject``, ``stimulus``
        and ``trial`` that identify one trial; not needed for a single trial), and optionally its
        name in ``event``.
        A sequence of numbers holds onsets in seconds that apply to every trial.
    latency : tuple (earliest, latest), default=(1.0, 4.0)
        Latency window in seconds after the onset of the event. A response belongs to the event if
        its onset lies in the window, ends included; it may end later. [1]_ gives 1 to 4 s or 1 to
        3 s for the onset of a response to a simple stimulus.
    baseline : float, default=2.0
        Seconds before the onset of the event whose mean EDA is the baseline.
    min_amplitude : float, default=0.1
        Minimum amplitude of a response as a share of the largest in the trial, from 0 to 1.
    min_amplitude_us : float or None, default=0.01
        Minimum amplitude of a response in µS. None for recordings in another unit; all columns then
        have that unit instead of µS.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        Treatment of samples that are missing (NaN, NA, None, masked), infinite or beyond float32's
        range. "raise": an error that names the trial. "interpolate": linear interpolation in time
        between finite neighbours (the nearest finite sample at the ends). "mask", for "cvxeda" and
        other methods that can mask: no weight in the decomposition.
    repair : {"interpolate", "mask"} or None, default="interpolate"
        Treatment of artefacts before the decomposition, as in
        :class:`edaemo.preprocessing.EDADecomposer`, which does nothing by default. None for
        recordings in another unit than µS: the thresholds are for µS.
    breathing : {"auto", "remove"} or None, default="auto"
        "remove" subtracts what :func:`edaemo.decomposition.estimate_breathing` finds, after the
        repair. None keeps it: then each breath higher than `min_amplitude_us` counts as a response.
        "auto" is "remove" without `events` and None with them, because responses to events at equal
        intervals of less than 15 s can be taken for breathing.
    context : float or None, default=None
        Seconds at the beginning of each recording that were recorded before the trial; they are
        decomposed with it. None uses the context of the Bunch, and is 0 for other input. A row for
        a trial describes the trial alone. A row for an event can use the context: the baseline of
        an event at 0 s is before the trial. Missing samples at the beginning of the context are not
        an error: that context is shorter.

    Returns
    -------
    DataFrame
        One row for each trial, in order, or for each event: events of a DataFrame in its order,
        others in the order of the trials and of the sequence. The index is a RangeIndex, and the
        ids that the trials have (``subject``, ``stimulus``, ``trial``) are columns. Without ids,
        ``trial`` is the index of the DataFrame or Series, or the row number.

        Without events:

        ``duration`` : float64, s.
        ``n_responses`` : int64.
        ``response_rate`` : float64, responses per minute.
        ``amplitude_sum`` : float64, µS; 0 without responses.
        ``amplitude_mean`` : float64, µS; NaN without responses.
        ``magnitude`` : float64, µS: the mean amplitude; 0 without responses.
        ``latency`` : float64, s from the first sample to the onset of the first response; NaN
        without responses.
        ``rise_time_mean`` : float64, s from onset to peak; NaN without responses.
        ``half_recovery_time_mean`` : float64, s from the peak, over the responses that recover by
        half before the next response or the end; NaN without such a response.
        ``tonic_level`` : float64, µS, mean of the tonic component.
        ``tonic_slope`` : float64, µS/s, slope of the least-squares line of the tonic component.
        ``iscr`` : float64, µS s, integrated SCR [2]_: the integral of the driver from the first to
        the last sample (trapezoidal rule); see Notes. NaN if the method is not "cvxeda".
        ``missing_share``, ``flat``, ``saturated_share``, ``n_spikes``, ``lost_contact_share`` : as
        in :func:`edaemo.preprocessing.signal_quality` with its default thresholds, of the recording
        before `repair`.
        ``repaired_share`` : float64, share of samples that were interpolated or masked as parts of
        artefacts; NaN if fewer than two samples are free of artefacts, so that the trial was not
        repaired.
        ``breathing_height`` : float64, µS, median height of the breaths that were removed from the
        recording, from trough to peak; 0 if none were.

        With events:

        ``event`` : name of the event; without names its number in the trial, from 0.
        ``onset`` : float64, s from the first sample of the trial.
        ``complete`` : bool. False if the latency window is not wholly inside the recording, or if
        the recording ends while a response that began in the window still rises, so that its
        amplitude is unknown. All further columns are then missing (NaN or NA).
        ``response`` : boolean, whether a response belongs to the event.
        ``n_responses`` : Int64, number of responses that belong to the event.
        ``first_amplitude`` (µS), ``first_latency`` (s from the onset of the event to that of the
        response), ``first_rise_time`` (s), ``first_half_recovery_time`` (s) : float64, of the first
        of these responses; NaN without response. The half recovery time is also NaN if the response
        does not recover by half before the next one or the end.
        ``largest_amplitude`` (µS), ``largest_latency``, ``largest_rise_time``,
        ``largest_half_recovery_time`` (s) : float64, of the largest of them.
        ``amplitude_sum`` : float64, µS, of all of them; 0 for a non-response.
        ``magnitude`` : float64, µS, the first amplitude; 0 for a non-response.
        ``baseline_level`` : float64, µS, mean of the EDA in the `baseline` seconds before the
        onset; NaN if these are not wholly inside the recording.
        ``level_change`` : float64, µS, largest EDA in the window minus ``baseline_level``.
        ``tonic_level`` (µS), ``tonic_slope`` (µS/s) : float64, mean and slope of the tonic
        component in the window, as above.
        ``iscr`` : float64, µS s, as above, in the window.
        ``missing_share``, ``flat`` (boolean), ``saturated_share``, ``n_spikes`` (Int64),
        ``lost_contact_share``, ``repaired_share`` : as above, for the samples in the window. The
        defects are those found in the whole trial.
        ``breathing_height`` : as above.

    Raises
    ------
    ValueError
        If a trial is unusable (the error names it), a parameter is out of its range, `latency` or
        `baseline` is shorter than one sample, an onset is not a finite number, or a row of `events`
        belongs to no trial or to several (the error names the row).
    DecompositionError
        If the decomposition fails on a trial; the error names it.

    Notes
    -----
    The driver of "cvxeda" has the unit µS/s, and its response to an impulse has the area
    ``|tau0 - tau1|`` in seconds. The driver of [2]_ is scaled to a response of area 1 and has the
    unit µS. ``iscr`` is the integral of cvxEDA's driver times ``|tau0 - tau1|``. This is the
    integral of the driver as in [2]_, and the area under the phasic activity that the driver
    causes.

    References
    ----------
    .. [1] W. Boucsein, D. C. Fowles, S. Grimnes, G. Ben-Shakhar, W. T. Roth, M. E. Dawson, D. L.
       Filion, "Publication recommendations for electrodermal measurements", Psychophysiology 49
       (2012), 1017-1034.
    .. [2] M. Benedek, C. Kaernbach, "A continuous measure of phasic electrodermal activity",
       Journal of Neuroscience Methods 190 (2010), 80-91.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.features import scr_table
    >>> time = np.arange(120) / 4
    >>> eda = 2 + 0.3 * np.exp(-((time - 14) ** 2) / 2)  # one response of 0.3 microsiemens
    >>> table = scr_table(eda[None], 4, events=[9.0, 20.0])
    >>> table[["onset", "response", "magnitude"]].round(2).to_numpy().tolist()
    [[9.0, True, 0.28], [20.0, False, 0.0]]
    """
    context = find_context(trials, context)
    trials, rate = unpack_study(trials, sampling_rate)
    method = find_decomposition(method)
    method.check(rate)
    check_masking(method, missing, repair)
    window = _check_windows(latency, baseline, rate)
    n_context = round(context * rate)
    quality = signal_quality(trials, rate, context=context if events is None else 0.0)
    ids = _read_ids(trials, quality.index)
    placed = None if events is None else _place_events(events, ids)
    read = read_signals(None, trials, reset=None, missing=missing, n_context=n_context)
    repaired = repair_signals([signal for signal, _ in read], rate, repair)
    heights = np.zeros(len(repaired))
    if breathing == "remove" or (breathing == "auto" and placed is None):
        repaired, removed = remove_breathing(repaired, rate)
        heights = np.array([_height(breathing_of_trial) for breathing_of_trial in removed])
    leads = [0] * len(repaired)
    if placed is not None:
        leads = [trim_context(repairs.signal, n_context)[1] for repairs in repaired]
        repaired = [
            repairs.leave_out(n_context - lead)
            for repairs, lead in zip(repaired, leads, strict=True)
        ]
    decomposed = decompose_trials(
        [repairs.signal for repairs in repaired],
        rate,
        method,
        standardize=method.unit_variance,
        n_context=n_context if placed is None else 0,
        name=lambda row: name_trial(trials, row),
    )
    if placed is None:
        repaired = [repairs.leave_out(n_context) for repairs in repaired]
    limits = {"min_amplitude": min_amplitude, "min_amplitude_us": min_amplitude_us}
    recordings = [
        _Recording(repairs, trial.rescale(), rate, _response_area(method), limits, lead)
        for repairs, trial, lead in zip(repaired, decomposed, leads, strict=True)
    ]
    if placed is None:
        measures = pd.DataFrame([recording.measure() for recording in recordings])
        quality = quality[list(QUALITY)].reset_index(drop=True)
        shares = pd.Series([recording.repaired_share(slice(None)) for recording in recordings])
        quality = quality.assign(repaired_share=shares, breathing_height=heights)
        return pd.concat([ids, measures, quality], axis=1)
    positions = [
        _shift(of_trial, lead - n_context)
        for of_trial, lead in zip(quality["positions"], leads, strict=True)
    ]
    measures = _measure_events(placed, recordings, positions, window, baseline)
    named = ids.iloc[placed["row"]].reset_index(drop=True)
    of_events = np.where(measures["complete"], heights[placed["row"]], np.nan)
    measures = measures.assign(breathing_height=of_events)
    return pd.concat([named, placed[["event", "onset"]], measures], axis=1)


def _height(breathing: np.ndarray) -> float:
    """Return the median height of breaths from trough to peak, 0 without breaths."""
    turns = np.flatnonzero(np.diff(np.sign(np.diff(breathing)))) + 1
    return float(np.median(np.abs(np.diff(breathing[turns])))) if len(turns) > 1 else 0.0


@dataclass(frozen=True)
class _Recording:
    """One decomposed trial, in the unit of the recording.

    Attributes
    ----------
    repaired : Repaired
        The recording; masked samples are NaN.
    parts : Components
    rate : float
        Samples per second (Hz).
    response_area : float
        Area of the response to an impulse of the driver, in s; NaN if it is unknown.
    limits : dict
        Minimum amplitudes, as in `scr_events`.
    lead : int
        Number of samples before the trial.
    """

    repaired: Repaired
    parts: Components
    rate: float
    response_area: float
    limits: dict[str, Any]
    lead: int

    @property
    def eda(self) -> np.ndarray:
        """The recording, with repaired artefacts."""
        return self.repaired.signal

    def repaired_share(self, window: slice) -> float:
        """Return the share of repaired samples in a window; NaN if the trial is beyond repair."""
        return np.nan if self.repaired.beyond_repair else np.mean(self.repaired.replaced[window])

    @cached_property
    def phasic(self) -> np.ndarray:
        """Phasic component; 0 if it only holds rounding errors."""
        seen = np.nan_to_num(self.eda)
        return silence_rounding(self.parts.phasic[None], seen[None])[0]

    @cached_property
    def responses(self) -> dict[str, np.ndarray]:
        """The columns of `scr_events`."""
        events = scr_events(self.phasic, self.rate, recording=self.eda, **self.limits)
        return {name: values.to_numpy() for name, values in events.items()}

    @cached_property
    def unfinished(self) -> np.ndarray:
        """Onset sample of the response that still rises at the last sample: none or one."""
        drop = self.phasic[-1] - np.ptp(self.phasic)
        ended = find_responses(np.append(self.phasic, drop)[None], **self.limits)
        ended = ended.select(ended.peak == len(self.phasic) - 1)
        rises = find_rises(self.eda, self.phasic, self.rate, self.limits["min_amplitude_us"])
        return ended.onset[rises(ended.onset, ended.peak)]

    def samples(self, start: float, stop: float) -> slice | None:
        """Return the samples from `start` to `stop`, in s, both included; None if not all exist."""
        first, last = start * self.rate - ROUNDING, stop * self.rate + ROUNDING
        if first < -2 * ROUNDING or last > len(self.eda) + 2 * ROUNDING:
            return None
        return slice(ceil(first), floor(last) + 1)

    def event_window(self, onset: float, latency: tuple[float, float]) -> slice | None:
        """Return the samples of an event's latency window; None if the event is incomplete."""
        window = self.samples(onset + latency[0], onset + latency[1])
        return None if window is None or _inside(self.unfinished, window).any() else window

    def iscr(self, window: slice) -> float:
        """Return the integral of the driver, scaled to a response of area 1."""
        if self.parts.driver is None:
            return np.nan
        area = np.trapezoid(self.parts.driver[window], dx=1 / self.rate)
        return float(self.response_area * area)

    def tonic_slope(self, window: slice) -> float:
        """Return the slope of the least-squares line of the tonic component, per second."""
        tonic = self.parts.tonic[window]
        if len(tonic) < 2:
            return np.nan
        time = np.arange(len(tonic)) / self.rate
        return float(np.polyfit(time - np.mean(time), tonic, 1)[0])

    def measure(self) -> dict[str, Any]:
        """Return the measures of the whole trial."""
        n_responses, amplitudes = len(self.responses["onset"]), self.responses["amplitude"]
        duration = len(self.eda) / self.rate
        return {
            "duration": duration,
            "n_responses": n_responses,
            "response_rate": 60 * n_responses / duration,
            "amplitude_sum": np.sum(amplitudes),
            "amplitude_mean": _mean(amplitudes),
            "magnitude": _mean(amplitudes) if n_responses else 0.0,
            "latency": self.responses["onset"][0] if n_responses else np.nan,
            "rise_time_mean": _mean(self.responses["rise_time"]),
            "half_recovery_time_mean": _mean(self.responses["half_recovery_time"]),
            "tonic_level": np.mean(self.parts.tonic),
            "tonic_slope": self.tonic_slope(slice(None)),
            "iscr": self.iscr(slice(None)),
        }

    def measure_event(self, onset: float, window: slice, baseline: float) -> dict[str, Any]:
        """Return the measures of one event, without the quality; `onset` is in the recording."""
        before = self.samples(onset - baseline, onset)
        level = np.nan
        if before is not None:
            at_onset = onset * self.rate <= before.stop - 1 + ROUNDING
            level = _mean(self.eda[before.start : before.stop - at_onset])
        eda = self.eda[window][np.isfinite(self.eda[window])]
        return {
            "complete": True,
            **self._measure_responses(onset, window),
            "baseline_level": level,
            "level_change": np.max(eda) - level if len(eda) else np.nan,
            "tonic_level": np.mean(self.parts.tonic[window]),
            "tonic_slope": self.tonic_slope(window),
            "iscr": self.iscr(window),
            "repaired_share": self.repaired_share(window),
        }

    def _measure_responses(self, onset: float, window: slice) -> dict[str, Any]:
        """Return number, first and largest of the responses that begin in a window."""
        within = _inside(self.responses["onset_sample"], window)
        if not within.any():
            return {"response": False, "n_responses": 0, "amplitude_sum": 0.0, "magnitude": 0.0}
        responses = {name: values[within] for name, values in self.responses.items()}
        latencies, amplitudes = responses["onset"] - onset, responses["amplitude"]
        largest = np.argmax(amplitudes)
        measures = {"response": True, "n_responses": len(amplitudes)}
        for name, number in (("first", 0), ("largest", largest)):
            measures |= {
                f"{name}_amplitude": amplitudes[number],
                f"{name}_latency": latencies[number],
                f"{name}_rise_time": responses["rise_time"][number],
                f"{name}_half_recovery_time": responses["half_recovery_time"][number],
            }
        return measures | {"amplitude_sum": np.sum(amplitudes), "magnitude": amplitudes[0]}


def _measure_events(
    placed: pd.DataFrame,
    recordings: Sequence[_Recording],
    positions: Sequence[dict[str, Any]],
    latency: tuple[float, float],
    baseline: float,
) -> pd.DataFrame:
    """Return `EVENT_COLUMNS` of each event, from the defects of each trial (`positions`)."""
    measures: list[dict[str, Any]] = []
    windows: list[np.ndarray] = []
    for row, onset in zip(placed["row"], placed["onset"], strict=True):
        recording = recordings[row]
        start = onset + recording.lead / recording.rate
        window = recording.event_window(start, latency)
        if window is None:
            measures.append({"complete": False})
            continue
        windows.append(recording.eda[window])
        of_event = recording.measure_event(start, window, baseline)
        measures.append(of_event | _quality_within(positions[row], window, len(windows[-1])))
    table = pd.DataFrame(measures, columns=list(EVENT_COLUMNS)).astype(EVENT_TYPES)
    if windows:
        flat = signal_quality(pd.Series(windows), recordings[0].rate)["flat"]
        table.loc[table["complete"], "flat"] = flat.to_numpy()
    return table


def _shift(positions: dict[str, Any], n_samples: int) -> dict[str, Any]:
    """Return the ranges of defects, with all samples counted `n_samples` higher."""
    return {
        kind: [(start + n_samples, stop + n_samples) for start, stop in ranges]
        for kind, ranges in positions.items()
    }


def _quality_within(positions: dict[str, Any], window: slice, n_samples: int) -> dict[str, Any]:
    """Return the quality of the samples in a window, without ``flat``."""

    def overlaps(kind: str) -> list[int]:
        ends = ((max(a, window.start), min(b, window.stop)) for a, b in positions[kind])
        return [stop - start for start, stop in ends if stop > start]

    return {
        "missing_share": sum(overlaps("missing")) / n_samples,
        "saturated_share": sum(overlaps("saturated")) / n_samples,
        "n_spikes": len(overlaps("spike")),
        "lost_contact_share": sum(overlaps("lost_contact")) / n_samples,
    }


def _inside(samples: np.ndarray, window: slice) -> np.ndarray:
    """Return which of the samples are in a window."""
    return (samples >= window.start) & (samples < window.stop)


def _mean(values: np.ndarray) -> float:
    """Return the mean of the values that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else np.nan


def _response_area(method: DecompositionMethod) -> float:
    """Return the area of the response to an impulse of the driver, in s; NaN if it is unknown."""
    return abs(method.tau0 - method.tau1) if isinstance(method, CvxEDA) else np.nan


def _check_windows(latency: Sequence[float], baseline: float, rate: float) -> tuple[float, float]:
    """Return the two ends of the latency window."""
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in latency)
    if len(latency) != 2 or not numbers or not 0 <= latency[0] < latency[1] < np.inf:
        raise ValueError(
            f"latency must be (earliest, latest) in seconds, from 0 on, got {latency!r}."
        )
    for name, seconds in (("latency", latency[1] - latency[0]), ("baseline", baseline)):
        if seconds * rate < 1 - ROUNDING:
            raise ValueError(
                f"{name} covers {seconds:g} s, less than one sample ({1 / rate:g} s at {rate:g} "
                "Hz): make it longer."
            )
    return float(latency[0]), float(latency[1])


def _read_ids(trials: object, index: pd.Index) -> pd.DataFrame:
    """Return the ids of each trial as columns; `index` is that of the table of quality."""
    if identity_index(trials) is None:
        return pd.DataFrame({"trial": index.to_numpy()})
    return index.to_frame(index=False)


def _place_events(events: Events, ids: pd.DataFrame) -> pd.DataFrame:
    """Return ``row`` (position of the trial), ``event`` and ``onset`` of each event."""
    if not isinstance(events, pd.DataFrame):
        onsets = _read_onsets(events)
        numbers, rows = np.arange(len(onsets)), np.arange(len(ids))
        placed = {"row": np.repeat(rows, len(onsets)), "event": np.tile(numbers, len(rows))}
        return pd.DataFrame({**placed, "onset": np.tile(onsets, len(rows))})
    if "onset" not in events.columns:
        raise ValueError(
            "events has no column 'onset' (seconds from the first sample of the trial): its "
            f"columns are {list(events.columns)}."
        )
    placed = pd.DataFrame({"row": _find_rows(events, ids), "onset": _read_onsets(events["onset"])})
    numbers = placed.groupby("row").cumcount()
    placed["event"] = events["event"].array if "event" in events.columns else numbers
    return placed


def _read_onsets(onsets: object) -> np.ndarray:
    """Return the onsets of events as float64."""
    values = np.asarray(plain_numbers(onsets, "events", booleans=False))
    if values.ndim != 1 or not len(values):
        raise ValueError(
            "events must be a DataFrame with at least one row, or a sequence of at least one onset "
            f"in seconds, got an array of shape {values.shape}."
        )
    values = values.astype(np.float64)
    unknown = np.flatnonzero(~np.isfinite(values))
    if len(unknown):
        raise ValueError(
            f"events, row {unknown[0]}: the onset is {values[unknown[0]]}. Set it in seconds from "
            "the first sample of the trial, or remove the event."
        )
    return values


def _find_rows(events: pd.DataFrame, ids: pd.DataFrame) -> list[int]:
    """Return the position of each event's trial."""
    named = {key: values for key in IDENTITY if (values := identity(events, key)) is not None}
    if strange := [key for key in named if key not in ids]:
        raise ValueError(
            f"events has ids of the {strange[0]}, but the trials have only {list(ids)}: remove the "
            "column, or add it to the trials."
        )
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, values in enumerate(ids.itertuples(index=False)):
        rows.setdefault(tuple(getattr(values, key) for key in named), []).append(row)
    found = []
    for event in range(len(events)):
        matches = rows.get(tuple(values[event] for values in named.values()), [])
        if len(matches) != 1:
            others = [key for key in ids if key not in named]
            what = (
                f"{len(matches)} trials have these ids: add {' or '.join(others) or 'unique ids'}."
                if matches
                else "no trial has these ids. 1 and '1' are different ids."
            )
            raise ValueError(f"events, {name_trial(events, event)}: {what}")
        found.append(matches[0])
    return found
