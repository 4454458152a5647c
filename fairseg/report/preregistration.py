"""A file that states what is judged, and by which margins, before anybody has seen the scores."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fairseg.cohort.columns import SHARES, metric_of
from fairseg.cohort.groups import Groups
from fairseg.io.files import write_files
from fairseg.io.json_files import parse_json
from fairseg.io.sentences import did_you_mean, listed
from fairseg.scoring.table import title_of
from fairseg.statistics.judge_options import JudgeOptions

NUMBERS = ("margin", "failure_threshold", "failure_margin", "tail_margin", "min_size", "seed")
# The options of a file that leaves them out.
DEFAULTS: dict[str, Any] = {
    "by": (),
    "reference": None,
    "also": (),
    "adjust": (),
    "bins": {},
    "metric": "dice",
    **{one.name: one.default for one in fields(JudgeOptions) if one.name in NUMBERS},
}
_FORMS = {
    "by": "the name of an attribute, or a list of names",
    "reference": "the name of a group, or null",
    "also": "a list of names, or of lists of names",
    "adjust": "a list of names",
    "bins": "an object of attributes, each with a list of edges",
    "metric": "the name of the score to judge by, a share of 1 such as dice",
}


@dataclass(frozen=True)
class Preregistration:
    """A file that states the options of an audit.

    Attributes:
        name: of the file.
        digest: SHA-256 of its bytes, hexadecimal.
        options: every option; those that the file leaves out have their defaults, and a single name is a
            list of one.
    """

    name: str
    digest: str
    options: dict[str, Any]

    def settle(
        self, given: Mapping[str, Any], stated: Collection[str] | None = None, *, flags: bool = False
    ) -> dict[str, Any]:
        """Return the options with the values of the file.

        Args:
            given: the options of a call.
            stated: options that the caller stated; None: all that differ from their default.
            flags: name options in errors as the command line does.

        Raises:
            ValueError: a stated option says another thing than the file.
        """
        for name, expected in self.options.items():
            value = _plain(name, given[name])
            is_stated = value != _plain(name, DEFAULTS[name]) if stated is None else name in stated
            if is_stated and value != _plain(name, expected):
                option = f"--{name.replace('_', '-')}" if flags else name
                raise ValueError(
                    f"{option} contradicts {self.name}, which says {json.dumps(expected)}: "
                    "leave it out, or judge without the file"
                )
        return {**given, **self.options}

    def check_metric(self, title: str) -> None:
        """Raise a ValueError if the title of the scores' metric is not that of the file's metric."""
        if title_of(stated := self.options["metric"]) != title:
            raise ValueError(
                f"metric contradicts {self.name}, which says {json.dumps(stated)}: the scores are judged by "
                f"{title}"
            )


def read_preregistration(path: str | Path) -> Preregistration:
    """Read the options of an audit from a JSON file.

    Raises:
        ValueError: the file cannot be read, is no such object, or has a key or value that no audit takes; the
            message names the file and the key.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    stated = parse_json(content, f"{path}, as `fairseg plan --write` makes it,")
    if not isinstance(stated, dict):
        raise ValueError(f"{path} must hold an object with the options of an audit")
    if unknown := [name for name in stated if name not in DEFAULTS]:
        hint = did_you_mean(unknown[0], DEFAULTS)
        raise ValueError(f"{path}: {unknown[0]!r} is none of {', '.join(DEFAULTS)}{hint}")
    values = _checked({**DEFAULTS, **stated}, f"{path}: ")
    return Preregistration(path.name, hashlib.sha256(content).hexdigest(), values)


def write_preregistration(path: str | Path, options: Mapping[str, Any]) -> Path:
    """Write all options of an audit into a new JSON file.

    Args:
        path: of the file; its folder is made if needed.
        options: as `fairseg.audit` takes them; those left out get their defaults.

    Raises:
        ValueError: the file is there already, cannot be written, or an option is out of range.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} is there already: what was stated before is not replaced")
    values = _checked({**DEFAULTS, **options}, "")
    write_files(path.parent, {path.name: json.dumps(values, indent=2) + "\n"}, "preregistration")
    return path


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return options as JSON holds them, or raise."""
    for name, form in _FORMS.items():
        if not _has_form(name, values[name]):
            raise ValueError(f"{where}{name} must be {form}, got {values[name]!r}")
    try:
        JudgeOptions(**{name: values[name] for name in NUMBERS})
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None
    values = {**values, "metric": metric_of(values["metric"]) or values["metric"]}
    values |= {name: [values[name]] for name in ("by", "also", "adjust") if isinstance(values[name], str)}
    return {name: json.loads(json.dumps(values[name])) for name in DEFAULTS}


def _has_form(name: str, value: Any) -> bool:
    if name == "reference":
        return value is None or isinstance(value, str)
    if name == "metric":
        return isinstance(value, str) and bool(value) and metric_of(value) in (None, *SHARES)
    if name == "bins":
        return isinstance(value, Mapping) and all(
            isinstance(edges, list | tuple) and all(isinstance(edge, int | float) for edge in edges)
            for edges in value.values()
        )
    if name == "by":
        return _is_names(value) and len(value) > 0
    if name == "also":
        return isinstance(value, str) or (isinstance(value, list | tuple) and all(map(_is_names, value)))
    return _is_names(value)


def _is_names(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, list | tuple) and all(isinstance(one, str) and one for one in value)


def _plain(name: str, value: Any) -> Any:
    """Return an option in a form that can be compared: the order of names does not count."""
    if isinstance(value, Groups) or (name == "also" and any(isinstance(one, Groups) for one in value)):
        raise ValueError(f"{name} must name columns where options come from a file, got {listed([value])}")
    if name in ("by", "adjust"):
        return _names(value)
    if name == "also":
        return sorted(_names(one) for one in ([value] if isinstance(value, str) else value))
    if name == "metric":
        return title_of(value) if isinstance(value, str) else value
    if name == "bins":
        return {key: [float(edge) for edge in edges] for key, edges in (value or {}).items()}
    return value


def _names(value: Any) -> tuple[str, ...]:
    return tuple(sorted({value} if isinstance(value, str) else set(value or ())))
