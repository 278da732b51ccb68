"""Check that both packages hold what they should and nothing else: check_packages.py FOLDER."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ALONE = {
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "SECURITY.md",
    "pyproject.toml",
}
FOLDERS = ("sktransfer/", "tests/", "examples/", "docs/", "conda/")
LEFT_OUT = ("docs/images/",)
MADE = {"PKG-INFO", ".gitignore"}  # what hatchling adds
LARGEST_BYTES = 1_000_000  # the shipped digits have 830,000


def main(folder: Path) -> None:
    """Check the one wheel and the one source archive in a folder."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    tracked = set(subprocess.check_output(["git", "ls-files"], text=True).splitlines())
    check_sdist(sdist, tracked)
    check_wheel(wheel, tracked)


def check_sdist(sdist: Path, tracked: set[str]) -> None:
    """Check that it holds the folders above and neither benchmarks nor data tables."""
    root = sdist.name.removesuffix(".tar.gz") + "/"
    with tarfile.open(sdist) as archive:
        sizes = {member.name.removeprefix(root): member.size for member in archive}
    wanted = {
        name
        for name in tracked
        if name in ALONE or (name.startswith(FOLDERS) and not name.startswith(LEFT_OUT))
    }
    check_names(sdist, set(sizes), wanted | MADE)
    check_sizes(sdist, sizes)
    tables = [name for name in sizes if name.endswith(".csv")]
    assert not tables, f"{sdist.name} holds tables: {tables}"


def check_wheel(wheel: Path, tracked: set[str]) -> None:
    """Check that it holds the package, its data and ``py.typed``, and its description."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    described = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    made = {described + name for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    wanted = {name for name in tracked if name.startswith("sktransfer/")}
    assert {"sktransfer/py.typed", "sktransfer/datasets/data/mnist_5k.npz"} <= wanted
    check_names(wheel, set(sizes), wanted | made)
    check_sizes(wheel, sizes)


def check_names(package: Path, names: set[str], wanted: set[str]) -> None:
    """Check that the package holds what is wanted and nothing else."""
    too_much, missing = sorted(names - wanted), sorted(wanted - names)
    assert not too_much, f"{package.name} holds what it should not: {too_much}"
    assert not missing, f"{package.name} lacks {missing}"


def check_sizes(package: Path, sizes: dict[str, int]) -> None:
    """Check that no file is large, and say how large the package is."""
    large = [name for name, size in sizes.items() if size > LARGEST_BYTES]
    assert not large, f"{package.name} holds large files: {large}"
    print(f"{package.name}: {len(sizes)} files, {package.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
