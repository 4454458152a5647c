"""What moved: old import paths work in this version, with a DeprecationWarning that names the new ones."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

GOES_IN = "0.3"
MODULES = {
    "fairseg.groups": "fairseg.cohort.groups",
    "fairseg.levels": "fairseg.cohort.levels",
    "fairseg.installation": "fairseg.cli.installation",
    "fairseg.parallel": "fairseg.io.parallel",
    "fairseg.metrics.statistics": "fairseg.statistics",
    "fairseg.metrics.statistics.attributes": "fairseg.cohort.attributes",
    "fairseg.metrics.statistics.cohort": "fairseg.statistics.cohort_table",
    "fairseg.metrics.csv_files": "fairseg.io.csv_files",
    "fairseg.metrics.images": "fairseg.io.images",
    "fairseg.metrics.nifti": "fairseg.io.nifti",
    "fairseg.metrics.wording": "fairseg.io.sentences",
    "fairseg.metrics.scores": "fairseg.scoring.table",
    "fairseg.metrics.work": "fairseg.scoring.case",
    "fairseg.metrics.cross_check": "fairseg.scoring.cross_check",
    "fairseg.metrics.clinical": "fairseg.clinical.measures",
    "fairseg.metrics.bland_altman": "fairseg.clinical.agreement",
    "fairseg.io.scores": "fairseg.scoring.table",
    "fairseg.report.comparison_answer": "fairseg.report.compare.answer",
    "fairseg.training.record": "fairseg.training.logger",
    "fairseg.report.files": "fairseg.io.files",
    "fairseg.report.summary": "fairseg.scoring.summary",
    "fairseg.report.comparison_table": "fairseg.report.compare.tables",
    "fairseg.report.comparison_page": "fairseg.report.compare.page",
    "fairseg.training.lock": "fairseg.io.lock",
    "fairseg.training.predict": "fairseg.training.prediction",
    "fairseg.integrations.nnunet.settings": "fairseg.integrations.nnunet.environment",
    "fairseg.training.experiment": "fairseg.experiment",
    "fairseg.statistics.page": "fairseg.statistics.judgement",
    "fairseg.training.demo": "fairseg.experiment.demo",
}


def install() -> None:
    """Let old paths of modules be imported; asked only for modules that are nowhere else."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())


def moved(package: str, names: dict[str, str], name: str) -> object:
    """Return what a package once named, from where it lives now, with a warning.

    Args:
        package: the package that is asked, for the message.
        names: name -> module where it lives now.
        name: what is asked for.

    Raises:
        AttributeError: it is none of the names.
    """
    if name not in names:
        module = sys.modules.get(package)  # by which Python finds what was meant
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
    _warn(f"{package}.{name}", f"{names[name]}.{name}")
    return getattr(import_module(names[name]), name)


class _MovedModules:
    """Finder and loader of what moved; `importlib.abc` is not asked, since it costs start-up time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, self) if _new_path(fullname) else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = _new_path(spec.name)
        assert new is not None
        _warn(spec.name, new)
        module = import_module(new)
        self._own = (module.__spec__, module.__loader__)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has stamped the module with its old name's spec; it keeps its own.
        module.__spec__, module.__loader__ = self._own


def _new_path(name: str) -> str | None:
    head, tail = name, ""
    while head.count("."):
        if head in MODULES:
            return MODULES[head] + tail
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    return None


def _warn(old: str, new: str) -> None:
    text = f"{old} is now {new}; the old path goes in fairseg {GOES_IN}"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
