"""Every public name has a docstring, and every argument and result a type. Five seconds."""

import inspect
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from matplotlib.axes import Axes

from fairseg.report import AuditResult, ComparisonResult

MODULES = (
    *("fairseg", "fairseg.samplers", "fairseg.losses", "fairseg.crop", "fairseg.metrics"),
    *("fairseg.statistics", "fairseg.report", "fairseg.training", "fairseg.datasets"),
    "fairseg.understanding",
    "fairseg.checking",
)
INTEGRATIONS = (
    # each needs its own library
    "fairseg.integrations.fairlearn",
    "fairseg.integrations.nnunet",
    "fairseg.integrations.torchmetrics",
    "fairseg.integrations.loaders",
    "fairseg.integrations.monai",
    "fairseg.integrations.lightning",
    "fairseg.integrations.huggingface",
    "fairseg.integrations.trackers",
)
# What annotations name and modules import for type checkers only.
LATE = {"AuditResult": AuditResult, "Axes": Axes, "ComparisonResult": ComparisonResult}
NAMES = [
    (module, name)
    for module in (*MODULES, *INTEGRATIONS)
    for name in import_module(module).__all__
    if name != "__version__"
]


def functions(thing: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield a function, or what a class of fairseg defines for users to call."""
    if inspect.isfunction(thing):
        yield thing.__qualname__, thing
    elif inspect.isclass(thing):
        for base in thing.__mro__:
            if base.__module__.startswith("fairseg"):
                for name, member in vars(base).items():
                    found = (
                        member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                    )
                    if inspect.isfunction(found) and (name == "__init__" or not name.startswith("_")):
                        yield f"{base.__qualname__}.{name}", found


@pytest.mark.parametrize("module", [*MODULES, *INTEGRATIONS])
def test_lists_of_names_are_without_repeats(module: str) -> None:
    names = import_module(module).__all__
    assert len(set(names)) == len(names)
    assert import_module(module).__doc__


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_a_public_name_is_documented_and_typed(module: str, name: str) -> None:
    thing = getattr(import_module(module), name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing)):
        thing = type(thing)  # a constant
    assert len((vars(thing).get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)) or "") > 20
    for where, function in functions(thing):
        owner = thing if inspect.isclass(thing) else None
        if not where.endswith("__init__"):
            documented = getattr(owner, function.__name__, function) if owner else function
            assert inspect.getdoc(documented), f"{where} has no docstring"
        hints = typing.get_type_hints(function, localns=LATE)
        signature = inspect.signature(function)
        untyped = set(signature.parameters) - hints.keys() - {"self", "cls"}
        assert not untyped, f"{where} has arguments without a type: {', '.join(untyped)}"
        assert "return" in hints, f"{where} has a result without a type"
