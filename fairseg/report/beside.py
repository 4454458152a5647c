"""What is found beside the verdict, and told with it: other metrics, clinical errors, other choices."""

from dataclasses import dataclass, replace

from fairseg.report.audited import Audited
from fairseg.report.clinical import Clinical, clinical_section
from fairseg.report.notes import reconciled
from fairseg.report.secondary import Secondary, secondary
from fairseg.report.sensitivity import Sensitivity, sensitivity
from fairseg.statistics.order_statistics import size_to_judge


@dataclass(frozen=True)
class Beside:
    """What a page tells below its card, and a terminal or a notebook with the answer.

    Attributes:
        sentences: what a reader must know of it first, one line each.
        clinical: agreement of clinical measures, if asked for.
        secondary: other metrics and clinical errors by group.
        sensitivity: what became of the verdict under other choices.
    """

    sentences: tuple[str, ...]
    clinical: Clinical | None
    secondary: Secondary | None
    sensitivity: Sensitivity | None


def beside(result: Audited) -> Beside:
    """Return what is found beside the verdict.

    Raises:
        ValueError: as `clinical_section`.
    """
    overall, heart = result.first_summaries[0], result.sections.heart
    counts = overall.counts.tolist()
    least = size_to_judge(counts, result.options.min_size, overall.level)  # as in the tables with intervals
    overall = replace(overall, judged=tuple(code for code, count in enumerate(counts) if count >= least))
    clinical = None
    if heart is not None:
        tolerated = result.options.failure_margin
        clinical = clinical_section(result.scores, overall, heart, tolerated=tolerated)
    others = secondary(result, overall, None if clinical is None else clinical.measures)
    choices = sensitivity(result, () if others is None else others.findings)
    sentences = (
        *([clinical.doubt] if clinical is not None and clinical.doubt else []),
        *reconciled(result, overall),
        *([] if clinical is None else clinical.missing),
        *([] if others is None else others.sentences),
        *([] if choices is None else filter(None, [choices.sentence])),
        *([] if clinical is None else clinical.sentences),
    )
    return Beside(sentences, clinical, others, choices)
