"""A group of just as many subjects as are asked for is judged, one of fewer is not, and a page says so."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Verdict


def table(sizes: dict[str, int], shift: float = 0.0) -> pd.DataFrame:
    """Return a subject a row; each group a little worse than the one before it."""
    parts = [
        pd.DataFrame({"site": name, "dice": 0.9 - 0.01 * index + shift + np.linspace(-0.01, 0.01, number)})
        for index, (name, number) in enumerate(sizes.items())
    ]
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(subject=[f"s{number}" for number in range(len(whole))])


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_group_of_the_least_size_is_judged(size: int) -> None:
    result = fairseg.audit(table({"A": 20, "B": size}), by="site", reference="A")
    small = result.left_out.query("kind == 'group'")["name"].tolist()
    assert (result.verdict == Verdict.NOT_JUDGED) == (size < 10)
    assert small == (["B"] if size < 10 else [])


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_group_of_the_least_size_is_judged_in_a_comparison(size: int) -> None:
    sizes = {"A": 20, "B": size}
    change = fairseg.compare({"a": table(sizes), "b": table(sizes, 0.02)}, by="site", baseline="a")
    assert (change.verdicts["b"] == Verdict.NOT_JUDGED) == (size < 10)


def test_none_of_many_groups_of_just_enough_is_said_to_have_fewer(tmp_path: Path) -> None:
    # All n values lie on one side of their median in 2 of 2^n samples: 39 * 2 / 2^10 is above 5%.
    sizes = {f"site {number:02}": 10 for number in range(39)}
    result = fairseg.audit(table(sizes), by="site", reference="site 00")
    assert not (result.left_out["reason"].str.contains("fewer than 10")).any()
    page = result.save(tmp_path).read_text(encoding="utf-8")
    claims = {int(number) for number in re.findall(r"[Ff]ewer than (\d+) subjects with", page)}
    assert all(number > 10 for number in claims)


def test_as_many_groups_are_judged_as_were_tried_and_no_more() -> None:
    rng = np.random.default_rng(0)
    for number, message in ((61, None), (501, "a table shows 500 groups at most")):
        site = np.repeat([f"site {one:03}" for one in range(number)], 10)
        scores = pd.DataFrame({"subject": np.arange(site.size).astype(str), "site": site})
        scores["dice"] = rng.normal(0.9, 0.02, site.size)
        if message is None:
            assert len(fairseg.audit(scores, by="site").groups) == number
        else:
            with pytest.raises(ValueError, match=message):
                fairseg.audit(scores, by="site")
