"""What every table of a benchmark begins with: the machine and the versions that were measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version


def describe(*libraries: str) -> str:
    """Return one line: processor, Python and libraries, those that are not installed as well."""
    found = []
    for name in libraries:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"without {name}")
    cores = f"{platform.machine()}, {os.cpu_count()} cores, one thread"
    return f"{cores}; Python {platform.python_version()}, {', '.join(found)}"
