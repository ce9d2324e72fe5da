"""The versions of the packages that decide what a training gives."""

from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """By package; "unknown" for one that is run without being installed."""
    return {name: _version(name) for name in ("einmix-nas", "torch", "einops", "optuna")}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
