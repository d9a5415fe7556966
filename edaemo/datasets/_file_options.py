"""Options for reading files whose format must be given because it is not found."""

from __future__ import annotations

from dataclasses import dataclass

from edaemo.datasets._units import DEVICES

# Unit of a column of times → seconds.
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}


class RecordingWarning(UserWarning):
    """A recording was read, but what was found in its file must be checked."""


@dataclass(frozen=True)
class FileOptions:
    r"""Format of a file of recordings, for what must not be found by its content.

    Parameters
    ----------
    time : str or None, default="auto"
        Column of the times of the samples. "auto" finds it by its name. None: the file is read
        as if it had no such column.
    time_unit : {"auto", "s", "ms", "us", "ns", "min", "h"}, default="auto"
        Unit of numeric times. "auto" finds it by the header and the size of the numbers.
    device : {"bitalino_rev", "biosignalsplux", "shimmer3"} or None, default=None
        Device whose transfer function converts ``unit="adc"`` to microsiemens. None is the device
        that the file names.
    delimiter : str or None, default=None
        Separator of the columns of a text file; ``" "`` is any run of spaces and tabs. None finds
        it.
    decimal : {".", ","} or None, default=None
        Decimal sign of a text file. None finds it.
    encoding : str or None, default=None
        Encoding of a text file. None finds UTF-8, UTF-16 and cp1252.
    skip_rows : int or None, default=None
        Number of lines of a text file before the header, or before the samples without a
        header. None finds it.
    sheet : str or None, default=None
        Sheet of a workbook. None is the only sheet that has a column of EDA.

    Raises
    ------
    ValueError
        If a value is not one of those listed.
    """

    time: str | None = "auto"
    time_unit: str = "auto"
    device: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.time_unit not in ("auto", *TIME_UNITS):
            raise ValueError(
                f"time_unit must be auto or one of {[*TIME_UNITS]}: {self.time_unit!r}"
            )
        if self.device not in (None, *DEVICES):
            raise ValueError(f"device must be one of {[*DEVICES]}, got {self.device!r}.")
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}.")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character, got {self.delimiter!r}.")
        if self.skip_rows is not None and self.skip_rows < 0:
            raise ValueError(f"skip_rows must be 0 or more, got {self.skip_rows!r}.")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(f"encoding: {error}.") from error
