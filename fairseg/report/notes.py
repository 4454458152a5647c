"""What a reader must know of the scores: subjects that are doubled, left out or too few, missing values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairseg import __version__
from fairseg.cohort.columns import DISTANCES, METRICS
from fairseg.cohort.levels import na_options
from fairseg.io.sentences import counted, listed
from fairseg.report.analyses import Analysis
from fairseg.report.audited import Audited
from fairseg.report.templates import as_sentence, say
from fairseg.scoring.doubts import in_pixels
from fairseg.scoring.subjects import lost_cases, structure_scores, subject_names
from fairseg.scoring.summary import P_VALUE, Summary
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures
from fairseg.statistics.missingness import missingness_sentences
from fairseg.statistics.score_checks import duplicate_rows, look_like_percentages, scale_ratios, uneven_cases
from fairseg.statistics.verdicts import Endpoint

_FEW_GROUPS = 8  # of more groups only those that lost a case are named


def first_notes(result: Audited) -> list[str]:
    """Return the notes below the answer on the first screen, one line each."""
    return [*cautions(result), *missingness_sentences(result.missing, title=result.scores.spoken_title)]


def cautions(result: Audited) -> list[str]:
    """Return the notes without which the answer misleads: who was counted, as what, and what looks wrong."""
    first = result.analyses[0]
    facts = result.judgement.facts_of(first.name, result.structures[0])
    small = [
        f"{fact.group} (n={fact.n}, median {result.scores.title} {fact.median:.3f})"
        for fact in facts
        if not fact.judged and fact.n
    ]
    lines = [
        *doubts(result.scores, result.analyses, result.sections.adjust),
        *skipped_note(result.scores, first),
        *score_checks(result.scores, result.analyses),
    ]
    if small:
        lines.append(f"Not judged, too few subjects: {listed(small)}.")
    if subjects := sum(fact.missing for fact in facts):
        few = len(facts) < _FEW_GROUPS
        by_group = [(one.group, one.missing, one.n + one.missing) for one in facts if one.missing or few]
        lines.append(
            say("unscored", by_group=by_group, subjects=subjects, several=len(result.structures) > 1)
        )
    if first.members.unknown:
        lines.append(_of_unknown_group(result))
    if result.common.dropped:
        lines.append(say("dropped", dropped=result.common.dropped, used=result.common.used))
    return [*lines, *adjusted_overall(result.scores, result.common, first)]


def doubts(scores: Scores, analyses: Sequence[Analysis], adjust: Sequence[str] = ()) -> list[str]:
    """Return what the rows may be of, against what they were taken for, and what of them is left out.

    A column that groups or strata are made of is no doubt.
    """
    used = {name for one in analyses for name in one.groups.attributes} | {*adjust}
    lines = [as_sentence(line) for line in scores.doubts if getattr(line, "column", "") not in used]
    cases, of_all = in_pixels(scores.table)
    return [*lines, say("in_pixels", cases=cases, of_all=of_all)] if cases else lines


def adjusted_overall(scores: Scores, common: CommonStructures, analysis: Analysis) -> list[str]:
    """Return a line on the subjects whose overall score is made of some structures only; none without."""
    used = [scores.labels.index(name) for name in common.used]
    lacks = np.isnan(structure_scores(scores)[:, used])
    partial = lacks.any(axis=1) & ~lacks.all(axis=1)
    if not partial.any():
        return []
    lacked = [name for name, cells in zip(common.used, lacks[partial].T, strict=True) if cells.any()]
    names, ids = (*analysis.groups.short_names, "unknown group"), analysis.members.ids
    codes = np.where(ids < 0, len(names) - 1, ids)
    counts, sizes = (np.bincount(part, minlength=len(names)).tolist() for part in (codes[partial], codes))
    few = len(names) < _FEW_GROUPS
    by_group = [row for row in zip(names, counts, sizes, strict=True) if row[1] or (few and row[2])]
    return [say("adjusted_overall", by_group=by_group, subjects=int(partial.sum()), structures=lacked)]


def _of_unknown_group(result: Audited) -> str:
    """Return how the model serves those who are in no group, since no verdict covers them."""
    first, score = result.analyses[0], result.common.overall
    names = subject_names(result.scores)
    unknown = np.isin(names, first.members.unknown) & ~np.isnan(score)
    return say(
        "unknown_group",
        attribute=" or ".join(first.groups.attributes),
        number=len(first.members.unknown),
        scored=int(unknown.sum()),
        title=result.scores.spoken_title,
        median=float(np.median(score[unknown])) if unknown.any() else np.nan,
        failing=int((score[unknown] < result.options.failure_threshold).sum()),
        threshold=result.options.failure_threshold,
    )


def method(result: Audited) -> str:
    """Return how the result was judged, in words."""
    return say(
        "method",
        by=result.analyses[0].name,
        title=result.scores.title,
        options=result.options,
        level=result.judgement.alpha_star,
        permutations=result.judgement.permutations,
        version=__version__,
        stated=result.sections.stated_in,
    )


def skipped_note(scores: Scores, analysis: Analysis) -> list[str]:
    """Return a line that counts the cases that were skipped, by group; none without."""
    if scores.skipped.empty:
        return []
    names = (*analysis.groups.short_names, "unknown group")
    counts = lost_cases(scores, analysis.groups, skipped_only=True)
    few = len(names) < _FEW_GROUPS
    by_group = [
        (name, lost, size) for name, (lost, size) in zip(names, counts, strict=True) if size and (lost or few)
    ]
    why = list(dict.fromkeys(scores.reasons.values()))
    return [say("skipped", cases=len(scores.skipped), why=why, by_group=by_group)]


def score_checks(scores: Scores, analyses: Sequence[Analysis]) -> list[str]:
    """Return what looks wrong in the scores: doubled subjects, mixed units, overlapping groups."""
    first = analyses[0]
    names = subject_names(scores)
    columns = {name: structure_scores(scores, name) for name in scores.metrics}
    lines = []
    if sets := duplicate_rows(np.column_stack(list(columns.values()))):
        example = [names[row] for row in sets[0]]
        lines.append(say("duplicates", sets=len(sets), subjects=sum(map(len, sets)), example=example))
    for name in (name for name in DISTANCES if name in columns):
        for one in scale_ratios(columns[name], first.members.ids, columns.get("dice")):
            larger, smaller = (first.groups.short_names[code] for code in (one.larger, one.smaller))
            title = METRICS[name].title
            lines.append(say("scale", title=title, larger=larger, smaller=smaller, ratio=one.ratio))
    case = pd.factorize(scores.table["case"])[0]
    pairs = np.stack([scores.subjects[0], case])[:, scores.table["dice"].notna().to_numpy()]
    counts = np.bincount(np.unique(pairs, axis=1)[0], minlength=len(names))
    if uneven := uneven_cases(np.where(counts, counts, np.nan), first.members.ids):
        most, least = (first.groups.short_names[code] for code in (uneven.larger, uneven.smaller))
        lines.append(say("cases", most=most, least=least, many=uneven.many, few=uneven.few))
    if look_like_percentages(columns[scores.metrics[0]].ravel()):
        lines.append(say("percentages"))
    unsaid = dict.fromkeys(pair for one in analyses for pair in one.groups.perhaps_missing)
    lines += [
        say("perhaps_missing", attribute=name, names=names, option=na_options(names))
        for name, names in unsaid
    ]
    sets_of_levels = dict.fromkeys(pair for one in analyses for pair in one.groups.alike)
    lines += [say("alike", attribute=name, names=names) for name, names in sets_of_levels]
    lines += [say("held", attribute=one.name) for one in analyses if one.grouping.held]
    shared = [one for one in analyses if one.members.shared]
    return [*lines, *(say("shared", subjects=one.members.shared, attribute=one.name) for one in shared)]


def reconciled(result: Audited) -> list[str]:
    """Return a sentence for each pair whose Mann-Whitney p and verdict on the typical case seem to differ."""
    overall = result.first_summaries[0]
    if P_VALUE not in overall.table.index:
        return []
    figures = overall.table.to_numpy()[overall.table.index.get_loc(P_VALUE)].tolist()
    p_values = dict(zip([*overall.names, None], figures, strict=True))
    sentences = []
    for row in result.judgement.findings:
        is_typical = (
            row.endpoint is Endpoint.TYPICAL and row.structure == result.structures[0] and not row.adjusted
        )
        if not is_typical or row.attribute != result.analyses[0].name or np.isnan(row.p_adjusted):
            continue
        p = p_values[None] if len(overall.groups) == 2 else p_values.get(row.second, np.nan)
        starred = p < 0.05
        if not np.isnan(p) and starred != row.shown:
            facts = {"p": p, "p_page": row.p_adjusted, "starred": starred, "shown": row.shown}
            facts["p_row"] = row.p
            sentences.append(say("reconciled", first=row.first, second=row.second, **facts))
    return sentences[:3]


def notes_on(table: pd.DataFrame, overall: Summary) -> list[str]:
    """Return what a reader of the report must know of a table and its overall summary, one line each."""
    dice = "" if "dice" in table else "without Dice there is no SER, no fairness gap and no p: all need it"
    return [
        note for note in (dice, _lacking(table, overall.score), _shared(overall), _single(overall)) if note
    ]


def _lacking(table: pd.DataFrame, title: str) -> str:
    """Note cases that have no row of a label that other cases have; `title` is of the main score."""
    labels = dict.fromkeys(table["label"])
    codes = pd.factorize(table["case"])[0]
    fewer = np.bincount(codes)[codes] < len(labels)  # a label stands once a case
    if not fewer.any():
        return ""
    there: dict[str, set[str]] = {}
    for case, label in zip(table["case"][fewer], table["label"][fewer], strict=True):
        there.setdefault(case, set()).add(label)
    lacking = ((case, [label for label in labels if label not in has]) for case, has in there.items())
    cases = listed(f"{case} ({listed(missing)})" for case, missing in lacking)
    return (
        f"{counted(len(there), 'case')} without a row of a label that other cases have, "
        f"so averaged over fewer labels, which the overall {title} allows for: {cases}"
    )


def _shared(overall: Summary) -> str:
    """Note subjects with cases in several groups."""
    shared = overall.shared
    if not shared:
        return ""
    subjects_are = f"{counted(len(shared), 'subject')} {'is' if len(shared) == 1 else 'are'}"
    return f"{subjects_are} in several groups, counted in each, not judged: {listed(shared)}"


def _single(overall: Summary) -> str:
    """Note groups of one subject if most are."""
    single, number = int((overall.counts == 1).sum()), len(overall.groups)
    if 2 * single <= number:
        return ""
    by = " and ".join(overall.groups.attributes)
    return (
        f"by {by}: {single} of {counted(number, 'group')} have one subject only, whose score is their median"
    )
