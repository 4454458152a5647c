"""Findings that stand beside the verdict: other metrics, clinical errors, the verdict under other choices."""

from dataclasses import dataclass, replace

from fairseg.report.audited import Audited
from fairseg.report.clinical import Clinical, clinical_section
from fairseg.report.notes import reconciled
from fairseg.report.secondary import Secondary, secondary
from fairseg.report.sensitivity import Sensitivity, sensitivity
from fairseg.statistics.order_statistics import size_to_judge


@dataclass(frozen=True)
class SideFindings:
    """What a page says below its card, and a terminal or a notebook below the answer.

    Attributes:
        sentences: the most important of it, one line each.
        clinical: agreement of clinical measures, if asked for.
        secondary: other metrics and clinical errors by group.
        sensitivity: the verdict under other choices.
    """

    sentences: tuple[str, ...]
    clinical: Clinical | None
    secondary: Secondary | None
    sensitivity: Sensitivity | None


def side_findings(result: Audited) -> SideFindings:
    """Return what is found beside the verdict.

    Raises:
        ValueError: as `clinical_section`.
    """
    clinical = None
    if result.sections.heart is not None:
        overall, options = result.first_summaries[0], result.options
        counts = overall.counts.tolist()
        least = size_to_judge(counts, options.min_size, overall.level)  # as in the tables with intervals
        overall = replace(overall, judged=tuple(code for code, count in enumerate(counts) if count >= least))
        tolerated = options.failure_margin
        clinical = clinical_section(result.scores, overall, result.sections.heart, tolerated=tolerated)
    other_metrics = secondary(result, None if clinical is None else clinical.measures)
    choices = sensitivity(result, () if other_metrics is None else other_metrics.findings)
    sentences = (
        *([clinical.doubt] if clinical is not None and clinical.doubt else []),
        *reconciled(result),
        *([] if clinical is None else clinical.missing),
        *([] if other_metrics is None else other_metrics.sentences),
        *([] if choices is None else filter(None, [choices.sentence])),
        *([] if clinical is None else clinical.sentences),
    )
    return SideFindings(sentences, clinical, other_metrics, choices)
