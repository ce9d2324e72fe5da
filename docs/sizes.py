"""What `pip install .` brings, by direct dependency, in megabytes on disk: `python docs/sizes.py [EXTRA ...]`."""

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PACKAGE = "einmix-nas"


def needs(package: str, extras: set[str]) -> set[str]:
    """The names of a package's own requirements, of those extras as well."""
    wanted = map(Requirement, distribution(package).requires or ())
    met = (each for each in wanted if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras | {""}))
    return {each.name.lower().replace("_", "-") for each in met}


def closure(names: set[str]) -> set[str]:
    """These packages and all that they need, as far as they are installed."""
    found: set[str] = set()
    while names:
        name = names.pop()
        try:
            names |= needs(name, set()) - found - {name}
        except PackageNotFoundError:
            continue
        found.add(name)
    return found


def megabytes(names: set[str]) -> float:
    return sum(size_of(distribution(name)) for name in names) / 1e6


def size_of(installed: Distribution) -> int:
    paths = (Path(str(file.locate())) for file in installed.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    direct = needs(PACKAGE, set(sys.argv[1:])) - {PACKAGE}
    for name in sorted(direct):
        print(f"{name:16} {megabytes({name}):8.1f} MB, with all that it needs {megabytes(closure({name})):8.1f} MB")
    print(f"{'together':16} {megabytes(closure(set(direct))):8.1f} MB in {len(closure(set(direct)))} packages")
