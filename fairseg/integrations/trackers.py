"""Logs for MLflow and Weights & Biases: keys of metrics with names of groups, and tables of an audit."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairseg.report import AuditResult

__all__ = ["log_audit", "log_keys"]

# Signs that hold a name apart from another: age<50 and age>=50 must not both become age_50.
_WORDS = {"<=": " le ", "≤": " le ", ">=": " ge ", "≥": " ge ", "<": " lt ", ">": " gt ", "+": " plus "}


def log_keys(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of groups as parts of a metric's key that every experiment tracker takes.

    MLflow refuses a key with a comma or a sign such as `<` or `=`; on Windows also one with a colon; and a
    slash makes folders of it. Weights & Biases sorts and filters only by keys of letters, digits and
    underscores, and ignores case. So a name of letters (of any alphabet), digits and underscores stays as it
    is. In any other, `<=` and `≤` become le, `>=` and `≥` ge, `<` lt, `>` gt, `+` plus and a leading minus
    minus, and each run of other characters becomes an underscore. Names that would become the same are
    numbered.

    Args:
        names: (G,), `Groups.names`.

    Returns:
        One key a name, all different whether case counts or not.

    >>> log_keys(["F", "age<50", "50<=age<65", "sex=F, site=A", "sex F site A"])
    ('F', 'age_lt_50', '50_le_age_lt_65', 'sex_F_site_A', 'sex_F_site_A_2')
    """
    plain = {name: _plain(name) for name in names}
    keys: dict[str, str] = {}
    used: set[str] = set()
    for name in sorted(plain, key=lambda name: plain[name] != name):  # those that can stay come first
        key, number = plain[name], 1
        while key.casefold() in used:
            number += 1
            key = f"{plain[name]}_{number}"
        used.add(key.casefold())
        keys[name] = key
    return tuple(keys[name] for name in names)


def log_audit(result: "AuditResult", run: Any) -> None:
    """Log an audit to a run of MLflow or Weights & Biases: its tables, verdict and sentence.

    The tables are `result.groups` and `result.findings`. `result.left_out` is not logged: it has the names of
    cases and subjects. In MLflow they are the artifacts `fairseg/groups.json` and `fairseg/findings.json`,
    and verdict and sentence are tags; in Weights & Biases all are under `fairseg/`, in the run's summary.

    Args:
        result: of `fairseg.audit`.
        run: what `mlflow.start_run()` or `wandb.init()` gives.

    Raises:
        ValueError: the run is of neither.

    >>> log_audit(None, run="mine")
    Traceback (most recent call last):
        ...
    ValueError: run must be one of MLflow or Weights & Biases, got str
    """
    tracker = type(run).__module__.partition(".")[0]
    if tracker not in ("mlflow", "wandb"):
        raise ValueError(f"run must be one of MLflow or Weights & Biases, got {type(run).__name__}")
    tables = {"groups": result.groups, "findings": result.findings.astype({"verdict": str})}
    texts = {"verdict": result.verdict.label, "sentence": result.sentence}
    if tracker == "mlflow":
        import mlflow  # noqa: PLC0415  (no dependency of fairseg's)

        client, number = mlflow.MlflowClient(), run.info.run_id
        for name, table in tables.items():
            client.log_table(number, data=table, artifact_file=f"fairseg/{name}.json")
        for name, text in texts.items():
            client.set_tag(number, f"fairseg.{name}", text)
    else:
        import wandb  # noqa: PLC0415

        run.log({f"fairseg/{name}": wandb.Table(dataframe=table) for name, table in tables.items()})
        run.summary.update({f"fairseg/{name}": text for name, text in texts.items()})


def _plain(name: str) -> str:
    if re.fullmatch(r"\w+", name):
        return name
    words = re.sub(r"(?<!\w)[-\u2212](?=\d)", " minus ", name)
    words = re.sub("<=|>=|[≤≥<>+]", lambda sign: _WORDS[sign[0]], words)
    return re.sub(r"\W+", "_", words).strip("_") or "group"
