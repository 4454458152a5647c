"""Notes on a scores table: what a reader must know, and nothing where all is well."""

import html
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Groups
from fairseg.report import ReportSections, summarize
from fairseg.report.audit import AuditResult
from fairseg.report.card import to_terminal as audit_text
from fairseg.report.compare.card import to_terminal as comparison_text
from fairseg.report.compare.result import ComparisonResult
from fairseg.report.findings_table import endpoints_table
from fairseg.report.notes import first_notes, notes_on, reconciled
from fairseg.report.summary_table import footnote, summary_table
from fairseg.report.tables import to_markdown, to_terminal
from fairseg.scoring import Scores
from fairseg.scoring.summary_intervals import with_intervals


def table(cases: int = 8, labels: tuple[str, ...] = ("LV", "RV")) -> pd.DataFrame:
    rows = [(f"c{index}", f"c{index}", "FM"[index % 2], label) for index in range(cases) for label in labels]
    scores = pd.DataFrame(rows, columns=["case", "subject", "sex", "label"])
    return scores.assign(dice=[0.5 + index / 200 for index in range(len(scores))], hd=2.0)


def notes(scores: pd.DataFrame, by: str = "sex") -> list[str]:
    return notes_on(Scores.of(scores).table, summarize(scores, Groups.from_table(scores, by=by))[0])


def test_a_whole_table_gives_nothing_to_note() -> None:
    assert notes(table()) == []


def test_without_dice_the_missing_measures_are_noted_and_no_footnote_is_left_blank() -> None:
    scores = table().drop(columns="dice")
    assert notes(scores) == ["without Dice there is no SER, no fairness gap and no p: all need it"]
    summaries = summarize(scores, Groups.from_table(scores, by="sex"))
    assert len(summaries) == 3
    for text in (to_markdown(map(summary_table, summaries)), to_terminal(map(summary_table, summaries))):
        assert "\n\n\n" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_a_subject_in_two_groups_is_named() -> None:
    scores = table()
    scores.loc[scores["case"].isin(["c0", "c1"]), "subject"] = "p7"
    assert notes(scores) == ["1 subject is in several groups, counted in each, not judged: p7"]
    summary = summarize(scores, Groups.from_table(scores, by="sex"))[0]
    assert "p: not given, 1 subject is in more than one group." in footnote(summary)


def test_of_many_subjects_in_several_groups_five_are_named_and_each_is_counted_once() -> None:
    scores = table(24).assign(site=[f"site {index // 2 % 3}" for index in range(48)])
    scores["subject"] = [f"p{index // 6}" for index in range(48)]  # each in all three
    (note,) = notes(scores, by="site")
    assert (
        note == "8 subjects are in several groups, counted in each, not judged: p0, p1, p2, p3, p4 and 3 more"
    )


def test_a_case_that_lacks_the_row_of_a_label_is_named_with_the_label() -> None:
    scores = table()
    (note,) = notes(scores[(scores["case"] != "c3") | (scores["label"] != "RV")])
    assert note == (
        "1 case without a row of a label that other cases have, so averaged over fewer labels, "
        "which the overall DSC allows for: c3 (RV)"
    )


def test_of_many_cases_that_lack_labels_five_are_named() -> None:
    scores = table(20, ("LV", "RV", "LA"))
    (note,) = notes(scores[(scores["case"] == "c0") | (scores["label"] == "RV")])
    assert note.startswith("19 cases without")
    assert note.endswith("c1 (LV, LA), c2 (LV, LA), c3 (LV, LA), c4 (LV, LA), c5 (LV, LA) and 14 more")


def test_a_row_without_a_score_is_a_row() -> None:
    scores = table()
    scores.loc[0, ["dice", "hd"]] = float("nan")
    assert notes(scores) == []


def test_notes_stand_on_the_page_after_those_of_the_table_and_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = table().drop(index=3)
    scores.loc[0, "note"] = "said before"
    result = fairseg.audit(scores, by="sex", min_size=2, sections=ReportSections(resamples=100))
    with caplog.at_level(logging.WARNING, logger="fairseg"):
        page = result.save(tmp_path).read_text()
    assert any("c1 (RV)" in record.getMessage() for record in caplog.records)
    assert page.index("Said before") < page.index("c1 (RV)")


def numbers(size: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sex = np.repeat(["F", "M"], size // 2)
    return pd.DataFrame({"subject": [f"s{at}" for at in range(size)], "sex": sex}).assign(
        dice=rng.uniform(0.8, 0.95, size), hd=rng.uniform(8, 12, size)
    )


def first(scores: pd.DataFrame) -> list[str]:
    return first_notes(fairseg.audit(scores, by="sex"))


def test_scores_in_which_nothing_looks_wrong_give_no_note() -> None:
    assert first(numbers()) == []


def test_one_subject_under_several_names_is_noted() -> None:
    scores = numbers()
    again = scores.head(3).assign(subject=["x", "y", "z"])
    [note] = first(pd.concat([scores, again], ignore_index=True))
    assert note.startswith("6 subjects have the same unrounded scores as another, such as s0 and x:")


def test_distances_in_another_unit_are_noted() -> None:
    scores = numbers()
    scores["hd"] = scores["hd"].where(scores["sex"] == "F", scores["hd"] / 10)
    [note] = first(scores)
    assert note.startswith("HD is 10 times as large in F as in M")


def test_subjects_in_several_groups_and_small_groups_are_named() -> None:
    scores = numbers()
    odd = pd.DataFrame({"subject": ["s0", "x"], "sex": ["M", "X"], "dice": [0.9, 0.7], "hd": [9.0, 9.5]})
    scores = pd.concat([scores, odd], ignore_index=True).assign(
        case=lambda one: [f"c{at}" for at in one.index]
    )
    shared, small = first(scores)
    assert shared == "1 subject with cases in several groups by sex is in none of them: s0."
    assert small == "Not judged, too few subjects: X (n=1, median DSC 0.700)."


def test_a_star_that_the_verdict_does_not_share_is_explained() -> None:
    # Among three attributes and no gap, a p of one test by itself is now and then below 0.05.
    rng = np.random.default_rng(0)
    for _ in range(60):
        scores = pd.DataFrame({"subject": range(60), "sex": ["F", "M"] * 30}).assign(
            site=rng.choice(["A", "B"], 60),
            age=rng.choice(["young", "old"], 60),
            dice=rng.normal(0.9, 0.03, 60),
        )
        result = fairseg.audit(scores, by="sex", also=["site", "age"])
        summary = with_intervals(summarize(result.scores, result.analyses[0].groups)[0], resamples=100)
        row = next(one for one in result.judgement.findings if one.attribute == "sex")
        starred = summary.table.loc["p (Mann-Whitney U)", "All"] < 0.05
        lines = reconciled(result)
        assert bool(lines) == (starred != row.shown)
        if lines:
            assert "alone gives p = 0.0" in lines[0]
            assert "not shown" in lines[0]
            return
    pytest.fail("no cohort had a star")


def doubled() -> pd.DataFrame:
    """Return twenty people of each sex, each under two names."""
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"sex": np.repeat(["F", "M"], 20), "dice": rng.normal(0.9, 0.02, 40)})
    twice = pd.concat([once, once], ignore_index=True)
    return twice.assign(subject=[f"s{index}" for index in range(80)])


def in_centimetres() -> pd.DataFrame:
    """Return distances that are ten times as small in one sex."""
    rng = np.random.default_rng(0)
    scores = doubled().assign(dice=rng.normal(0.9, 0.02, 80), hd=rng.normal(8, 1, 80), distance_unit="mm")
    return scores.assign(hd=scores["hd"].where(scores["sex"] == "F", scores["hd"] / 10))


def seen(result: AuditResult | ComparisonResult, folder: Path) -> dict[str, str]:
    """Return what each kind of reader sees of a result, without line breaks and markup."""
    page = result.save(folder).read_text(encoding="utf-8")
    text = audit_text if isinstance(result, AuditResult) else comparison_text
    texts = {
        "printed": repr(result),
        "card": result._repr_html_(),
        "page": page,
        "terminal": text(result, result.notes),
    }
    bare = {name: re.sub("</?span[^>]*>", "", text) for name, text in texts.items()}
    return {name: " ".join(html.unescape(text).split()) for name, text in bare.items()}


def levels_alike() -> pd.DataFrame:
    """Return a sex that is written in two ways."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"sex": np.repeat(["F", "female", "M"], 20), "dice": rng.normal(0.9, 0.02, 60)}
    ).assign(subject=[f"s{index}" for index in range(60)])


def levels_that_may_say_nothing() -> pd.DataFrame:
    """Return a sex of which a third is "Unknown", which would be a group that makes a gap."""
    return levels_alike().replace({"sex": {"female": "Unknown"}})


@pytest.mark.parametrize("make", [doubled, in_centimetres, levels_alike, levels_that_may_say_nothing])
@pytest.mark.parametrize("models", [1, 2])
def test_what_looks_wrong_is_said_wherever_the_answer_is_read(
    make: Callable[[], pd.DataFrame], models: int, tmp_path: Path
) -> None:
    scores, sections = make(), ReportSections(resamples=100)
    result = fairseg.audit(scores, by="sex", sections=sections)
    if models == 2:
        later = scores.assign(dice=scores["dice"] + 0.01)
        result = fairseg.compare({"before": scores, "after": later}, by="sex", sections=sections)
    note = result.notes[0]
    assert "before" not in note  # it is so in both models
    assert [name for name, text in seen(result, tmp_path).items() if note not in text] == []


def test_what_looks_wrong_in_one_model_names_it() -> None:
    scores = in_centimetres()
    mended = scores.assign(hd=scores["hd"].where(scores["sex"] == "F", scores["hd"] * 10))
    note = fairseg.compare({"before": scores, "after": mended}, by="sex").notes[0]
    assert note.startswith("before: HD is ")


def test_the_answer_by_a_further_attribute_is_on_the_card() -> None:
    scores = in_centimetres().assign(site=["x", "y"] * 40)
    card = html.unescape(fairseg.audit(scores, by="sex", also="site")._repr_html_())
    assert "By site: " in card


def test_a_score_other_than_dice_is_called_by_its_name_where_it_is_0() -> None:
    group = np.repeat(["A", "B"], 40)
    scores = np.where((group == "B") & (np.arange(80) % 2 == 0), 0.0, np.linspace(0.9, 0.98, 80))
    note, *_ = fairseg.audit(pd.DataFrame({"group": group, "nsd": scores}), by="group", metric="nsd").notes
    assert "NSD" in note
    assert "Dice" not in note


def test_several_cases_a_subject_in_one_group_only_are_noted_where_the_answer_is_read() -> None:
    rng = np.random.default_rng(0)
    subjects = np.r_[np.repeat(np.arange(40), 4), np.arange(40, 80)]
    scores = pd.DataFrame({"case": [f"c{at}" for at in range(200)], "subject": subjects.astype(str)})
    scores = scores.assign(
        group=np.where(subjects < 40, "A", "B"), dice=rng.normal(0.9, 0.02, 200).clip(0, 1)
    )
    result = fairseg.audit(scores, by="group")
    (note,) = result.notes
    assert "4.0 cases on average in A and 1.0 in B" in note
    assert note in repr(result)
    assert note in fairseg.compare({"a": scores, "b": scores}, by="group").notes


def test_further_attributes_are_answered_wherever_the_answer_is_printed() -> None:
    rng = np.random.default_rng(0)
    site = np.repeat(["S", "T"], 60)
    scores = pd.DataFrame({"sex": ["F", "M"] * 60, "site": site, "dice": rng.normal(0.93, 0.01, 120)})
    scores.loc[scores["site"] == "T", "dice"] -= 0.06
    result = fairseg.audit(scores, by="sex", also="site")
    for text in (repr(result), audit_text(result, result.notes)):
        assert "By site: A gap is shown" in " ".join(text.split())


def test_how_those_of_unknown_group_are_served_is_said() -> None:
    rng = np.random.default_rng(0)
    dice = np.r_[rng.normal(0.9, 0.01, 60), 0.2, 0.6, np.nan]
    scores = {"sex": ["F", "M"] * 30 + [None] * 3, "dice": dice}
    (note,) = [one for one in fairseg.audit(scores, by="sex").notes if "in no group" in one]
    assert note.startswith("3 subjects without a known sex are in no group")
    assert "0.400, 1 of 2 below 0.5" in note


def test_cases_that_could_not_be_scored_are_counted_by_group_wherever_the_answer_is_read() -> None:
    """Half of B has no prediction, and no case of C: a level of skipped cases alone is a group too."""
    rng = np.random.default_rng(0)
    site = np.repeat(["A", "B", "C"], [600, 600, 20])
    dice = rng.beta(44, 5.6, 1220)
    scores = pd.DataFrame({"case": [f"c{index}" for index in range(1220)], "label": "LV", "site": site})
    scores = scores.assign(dice=dice, skipped=None)
    lost = (site == "C") | ((site == "B") & (np.arange(1220) % 2 == 0))
    scores.loc[lost, ["label", "dice", "skipped"]] = None, np.nan, "no prediction"
    result = fairseg.audit(scores, by="site")
    assert result.verdict is fairseg.Verdict.OPEN
    assert "300 of 600 subjects of B have a case without a score" in result.sentence
    (note,) = [note for note in result.notes if "could not be scored" in note]
    assert "0 of 600 subjects of A, 300 of 600 of B, 20 of 20 of C" in note
    assert note in repr(result)
    assert result.groups.set_index("group")["n"].to_dict() == {"A": 600, "B": 300, "C": 0}
    even = scores[~lost]
    assert fairseg.audit(even, by="site").verdict is fairseg.Verdict.NO_GAP
    assert note in fairseg.compare({"one": scores, "two": scores}, by="site").notes


@pytest.mark.parametrize("reason", [None, "reader failed"])
def test_a_case_without_a_score_beside_one_with_a_score_counts_as_lost(reason: str | None) -> None:
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"subject": np.repeat([f"s{index}" for index in range(400)], 2), "label": "LV"})
    scores = scores.assign(case=[f"c{index}" for index in range(800)], sex=np.repeat(["M", "F"], 400))
    scores["dice"] = rng.beta(44, 5.6, 800)
    assert fairseg.audit(scores, by="sex").verdict is fairseg.Verdict.NO_GAP
    lost = (scores["sex"] == "F") & (np.arange(800) % 10 == 0)
    result = fairseg.audit(scores.assign(dice=scores["dice"].mask(lost), skipped=reason), by="sex")
    assert result.verdict is fairseg.Verdict.OPEN
    assert "40 of 200 subjects of F have a case without a score, against 0 of 200 of M" in result.sentence


def test_subjects_without_a_score_are_counted_by_group_beside_the_answer() -> None:
    scores = pd.DataFrame({"sex": np.repeat(["F", "M"], 30), "dice": np.linspace(0.8, 0.95, 60)})
    scores.loc[[3, 7, 9], "dice"] = np.nan
    (note,) = [one for one in fairseg.audit(scores, by="sex").notes if "without a score" in one]
    assert note == "3 subjects without a score take no part: 3 of 30 of F, 0 of 30 of M."


def test_without_a_reference_the_card_names_the_group_that_is_behind() -> None:
    dice = np.r_[np.linspace(0.7, 0.8, 40), np.linspace(0.9, 0.95, 40)]
    table = pd.DataFrame({"sex": np.repeat(["F", "M"], 40), "dice": dice})  # in alphabetical order F is first
    plain, asked = (fairseg.audit(table, by="sex", reference=name) for name in (None, "F"))
    shown, with_reference = (endpoints_table(one, one.analyses[0]) for one in (plain, asked))
    assert [one.name for one in shown.columns] == ["Verdict", "Disadvantage of F"]
    assert [one.name for one in with_reference.columns] == ["Verdict", "Disadvantage of M"]
    values = [float(cells[1].value) for cells in shown.cells]
    assert values == [-float(cells[1].value) for cells in with_reference.cells]
    assert min(values) >= 0


def test_how_the_table_was_read_is_told_where_the_answer_is_read() -> None:
    scores = table(24).drop(columns=["case", "subject", "label"]).assign(nsd=0.9)
    audited = fairseg.audit(scores, by="sex", metric="nsd")
    wanted = ("each row is taken for a person", "'dice' is not looked at", "unit of the distances")
    assert [note for want in wanted for note in audited.notes if want in note] == list(audited.notes[-3:])
    assert audited.notes[-1] in repr(audited)
    assert audited.notes[-1] in html.unescape(audited._repr_html_())
    assert not fairseg.audit(table(24).drop(columns="hd"), by="sex").notes


def test_no_group_may_be_called_as_all_others_are() -> None:
    with pytest.raises(ValueError, match="a group of 'sex' may not be called 'all others'"):
        fairseg.audit(table(24).replace({"sex": {"F": "all others"}}), by="sex")


def test_where_nothing_is_judged_the_page_explains_no_chart(tmp_path: Path) -> None:
    page = fairseg.audit(table(12), by="sex").save(tmp_path).read_text(encoding="utf-8")
    assert "Not judged" in page
    assert "how sure they are" not in page
    assert "thin lines" not in page


@pytest.mark.parametrize("lacking", [0, 1])
def test_the_caption_says_how_many_overall_scores_are_moved(lacking: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"subject": np.repeat(np.arange(40), 2), "label": ["LV", "RV"] * 40})
    table = table.assign(sex=np.where(table["subject"] < 20, "F", "M"), dice=rng.uniform(0.8, 0.95, 80))
    page = fairseg.audit(table.iloc[lacking:], by="sex").save(tmp_path).read_text(encoding="utf-8")
    assert ("1 subject without a score of some label" in page) is bool(lacking)


def test_an_overall_score_of_some_structures_is_told_of_with_the_groups() -> None:
    """Of 12 + 12 subjects one of F and two of M lack RV, by a row or by its score; one of M lacks both."""
    rng = np.random.default_rng(0)
    sex = np.repeat(["F", "M"], 12)
    rows = pd.DataFrame({"subject": [f"s{at}" for at in range(24)], "sex": sex})
    table = pd.concat([rows.assign(label=label, dice=rng.uniform(0.8, 0.9, 24)) for label in ("LV", "RV")])
    table = table.reset_index(drop=True)
    table.loc[24 + 12, "dice"] = np.nan
    table.loc[[23, 24 + 23], "dice"] = np.nan
    table = table.drop(index=[24, 24 + 13])
    told = (
        "3 subjects have no score of RV: each overall score is the mean of the other structures, corrected "
        "for how much easier or harder these are: 1 of 12 of F, 2 of 12 of M."
    )
    result = fairseg.audit(table, by="sex", min_size=5)
    assert told in result.notes
    assert told in repr(result)
    whole = table.assign(dice=table["dice"].fillna(0.8))
    change = fairseg.compare({"a": table, "b": whole}, by="sex", min_size=5)
    assert any(note.startswith("a: 3 subjects have no score of RV") for note in change.notes)
    page = result._repr_html_()
    assert "1 of 12 of F" in page
