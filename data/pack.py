"""Pack the originals into the archives beside this file: ``python data/pack.py ORIGINALS``.

ORIGINALS holds the folders named in SOURCES. Files go in unmodified, under their own paths, sorted
and with one fixed time, so that the same files give the same archive.
"""

import sys
import zipfile
from pathlib import Path

# Archive → folder of the original, and what is taken from it.
SOURCES = {
    "hku956/hku956.zip": (
        "hku956",
        ("README", "3. AV_ratings.csv", "1. physiological_signals/*/EDA/*.csv"),
    ),
    "induced_stress/induced_stress.zip": (
        "physionet_wearable_stress",
        (
            "Data_Dictionary.csv",
            "data_constraints.txt",
            "Stress_Level_v?.csv",
            "Wearable_Dataset/STRESS/[Sf]??/EDA.csv",
            "Wearable_Dataset/STRESS/[Sf]??/tags.csv",
            "Wearable_Dataset/STRESS/f14_b/EDA.csv",
            "Wearable_Dataset/STRESS/f14_b/tags.csv",
        ),
    ),
}


def pack(source: Path, patterns: tuple[str, ...], target: Path) -> None:
    """Write the files of `source` that match a pattern into the archive `target`."""
    files = {file.relative_to(source).as_posix(): file for p in patterns for file in source.glob(p)}
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, files[name].read_bytes(), compresslevel=9)


if __name__ == "__main__":
    for archive, (folder, patterns) in SOURCES.items():
        pack(Path(sys.argv[1]) / folder, patterns, Path(__file__).parent / archive)
