"""What identifies a report: model, date, version, command, digests of scores and stated options."""

import hashlib
from collections.abc import Mapping
from datetime import date

from fairseg import __version__
from fairseg.io import csv_files
from fairseg.io.sentences import counted
from fairseg.report.sections import ReportSections
from fairseg.scoring.table import Scores


def about(sections: ReportSections, models: Mapping[str, Scores]) -> dict[str, str]:
    """Return the heads of a list and their values; a model without a name is called ""."""
    stated = sections.preregistered
    digests = {}
    for name, scores in models.items():
        source = scores.file or ("the file of scores" if scores.digest else "the scores as CSV")
        digest = scores.digest or hashlib.sha256(csv_files.to_csv(scores.to_frame()).encode()).hexdigest()
        digests[f"SHA-256 of {source}" + (f" ({name})" if name else "")] = digest
    lines = {
        "Model" if len(models) == 1 else "Models": ", ".join(filter(None, models)),
        "Date": date.today().isoformat(),
        "Version": f"fairseg {__version__}",
        "Command": sections.command,
        "Names": "codes, made under a key, stand for cases and subjects" if sections.pseudonyms else "",
        **digests,
        "Stated before in": stated.name if stated and not sections.pseudonyms else "",
        "SHA-256 of that file": stated.digest if stated else "",
    }
    return {name: value for name, value in lines.items() if value}


def size_text(scores: Scores) -> str:
    """Return how many subjects and cases there are, in words."""
    subjects, cases = (scores.table[name].nunique() for name in ("subject", "case"))
    return f"{counted(subjects, 'subject')}, {counted(cases, 'case')}"
