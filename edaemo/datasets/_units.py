"""Units of EDA: find them in headers, convert to microsiemens, and doubt implausible values."""

from __future__ import annotations

import re

import numpy as np

# Unit → microsiemens per unit, for conductances.
CONDUCTANCES = {"microsiemens": 1.0, "siemens": 1e6, "nanosiemens": 1e-3}
# Unit → ohm per unit, for resistances.
RESISTANCES = {"ohm": 1.0, "kiloohm": 1e3, "megaohm": 1e6}
# Values of the parameter `unit`.
EDA_UNITS = ("auto", *CONDUCTANCES, *RESISTANCES, "adc")

# Shimmer3's reference resistors (ohm), by the range in the two upper bits of a sample.
_SHIMMER_RESISTORS = np.array([40_200.0, 287_000.0, 1_000_000.0, 3_300_000.0])
# The first reading above the reference of 0.5 V. Below it, the circuit is open.
_SHIMMER_LOWEST = 683
# Devices whose readings of a converter can be converted to µS.
DEVICES = ("bitalino_rev", "biosignalsplux", "shimmer3")
# Names of devices in files of OpenSignals → device. The first BITalino ("bitalino") is not among
# them, because it has another transfer function.
OPENSIGNALS_DEVICES = {
    **dict.fromkeys(("bitalino_rev", "bitalino_riot"), "bitalino_rev"),
    **dict.fromkeys(("biosignalsplux", "biosignalspluxsolo"), "biosignalsplux"),
}

_MICRO = "u\u00b5\u03bc"
_PATTERNS = {
    "microsiemens": rf"(?:[{_MICRO}] ?|Âµ|Î¼|micro[ -]?)(?:s|siemens?|mhos?)",
    "nanosiemens": r"n(?:s|siemens?|mhos?)|nano[ -]?siemens?",
    "siemens": r"siemens?|mhos?",
    "kiloohm": r"(?:k|kilo[ -]?)(?:ohms?|Ω|\u2126)",
    "megaohm": r"(?:meg|mega[ -]?)(?:ohms?|Ω|\u2126)",
    "ohm": r"ohms?|Ω|\u2126",
    "adc": r"adc|raw|counts?|lsb",
}
_UNITS = {unit: re.compile(pattern, re.IGNORECASE) for unit, pattern in _PATTERNS.items()}
# Units that are neither a conductance nor a resistance.
_FOREIGN = re.compile(r"[mu\u00b5\u03bc]?V|volts?|[mu\u00b5\u03bc]?A|%|dB|°C|bpm|g|m/s(?:\^?2|²)")


def find_unit(text: str) -> str | None:
    """Return the unit of EDA that a text names, the text if it is another unit, or None.

    Parameters
    ----------
    text : str
        A unit as written in a file, such as "uS" or "kOhms".

    Returns
    -------
    str or None
        One of `EDA_UNITS`, or the text if it is a unit of something else; None if it is not a unit.
    """
    text = text.strip()
    if text in ("S", "MOhm", "MOhms", "MΩ"):
        return "siemens" if text == "S" else "megaohm"
    for unit, pattern in _UNITS.items():
        if pattern.fullmatch(text):
            return unit
    return text if _FOREIGN.fullmatch(text) else None


def split_name(header: str) -> tuple[str, str]:
    """Return the name of a column and the unit in its header, "" if it has no unit.

    Examples
    --------
    >>> split_name("EDA (uS)"), split_name("gsr_kOhm"), split_name("left hand")
    (('EDA', 'uS'), ('gsr', 'kOhm'), ('left hand', ''))
    """
    match = re.fullmatch(r"(.*?)\s*[(\[{]([^()\[\]{}]*)[)\]}]\s*", header)
    if match:
        return match[1].strip(), match[2].strip()
    if find_unit(header) is not None and not re.fullmatch("raw", header, re.IGNORECASE):
        return "", header.strip()
    name, sign, unit = (*header.strip().rpartition("_"),)
    if not sign:
        name, sign, unit = header.strip().rpartition(" ")
    known = find_unit(unit) if sign else None
    return (name.strip(" ,:/-"), unit) if known is not None else (header.strip(), "")


def to_microsiemens(
    values: np.ndarray, unit: str, *, device: str | None = None, bits: int | None = None
) -> np.ndarray:
    """Convert EDA to microsiemens.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Samples, float64; not changed.
    unit : str
        One of `EDA_UNITS` except "auto".
    device : str or None, default=None
        Device of samples of an analogue-to-digital converter.
    bits : int or None, default=None
        Resolution of the converter. None: 10 of a BITalino (r)evolution, 16 of a biosignalsplux.

    Returns
    -------
    ndarray of shape (n_samples,)
        In microsiemens; NaN for resistances at or below zero, and where the circuit of a Shimmer3
        is open.

    Raises
    ------
    ValueError
        If the unit is "adc" and the device is not known, or is a Shimmer3 whose samples do not
        hold their range.

    References
    ----------
    PLUX, "Electrodermal Activity (EDA) Sensor User Manual" for the BITalino (r)evolution, version
    1.0 (2020); `raw_to_phy` of PLUX's package biosignalsnotebooks 0.6.14, for both devices of PLUX;
    class ``SensorGSR`` of Shimmer's Java driver.
    """
    if unit in CONDUCTANCES:
        return values * CONDUCTANCES[unit]
    if unit in RESISTANCES:
        valid = values > 0
        with np.errstate(over="ignore"):
            return np.divide(
                1e6 / RESISTANCES[unit], values, out=np.full(len(values), np.nan), where=valid
            )
    if bits is not None and not 1 <= bits <= 32:
        raise ValueError(f"the file states a converter of {bits:.6g} bits, which does not exist.")
    if device == "bitalino_rev":
        return values / 2.0 ** (bits or 10) * 3.3 / 0.132
    if device == "biosignalsplux":
        return values / 2.0 ** (bits or 16) * 3.0 / 0.12
    if device == "shimmer3":
        return _convert_shimmer(values)
    raise ValueError(
        "samples of an analogue-to-digital converter have no unit without the transfer function of "
        f"the device: pass device= (--device), one of {', '.join(DEVICES)}, or convert them to µS."
    )


def _convert_shimmer(values: np.ndarray) -> np.ndarray:
    """Convert samples of 16 bits: the range in the two upper bits, a 12-bit reading below."""
    whole = np.nan_to_num(values, nan=0.0).astype(np.int64)
    ranges = (whole >> 14) & 3
    if not ranges.any():
        raise ValueError(
            "no sample of the Shimmer3 holds a range in its two upper bits. The range may have "
            "been fixed, and it is not in the file: export the calibrated signal, in kOhm or µS."
        )
    reading = whole & 0xFFF
    volts = reading * 3.0 / 4095
    eda = (volts / 0.5 - 1) / _SHIMMER_RESISTORS[ranges] * 1e6
    return np.where(np.isnan(values) | (reading < _SHIMMER_LOWEST), np.nan, eda)


def doubt_unit(values: np.ndarray) -> str | None:
    """Return why values cannot be microsiemens of skin and the likely unit; None if they can.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        EDA that counts as microsiemens.

    Returns
    -------
    str or None
        A sentence without its beginning.
    """
    used = values[np.isfinite(values) & (values != 0)]
    if len(used) < 3:
        return None
    smallest, largest = float(np.min(used)), float(np.max(used))
    if 0.01 <= largest <= 64 and smallest <= 100:
        return None
    middle = float(np.median(used))
    if 0 < largest < 0.01:
        return f"all samples are below 0.01 µS (median {middle:.3g}); the unit may be siemens"
    if largest > 64 and len(np.unique(used[:100_000])) > 2 and np.all(used == np.round(used)):
        unit = "ohm" if middle > 65_535 else "adc"
        return f"all samples are whole numbers up to {largest:g}; the unit may be {unit}" + (
            " (readings of a converter)" if unit == "adc" else ""
        )
    if smallest > 100:
        unit = "ohm" if middle > 20_000 else "kiloohm or nanosiemens"
        return f"all samples are above 100 µS (median {middle:.4g}); the unit may be {unit}"
    return None
