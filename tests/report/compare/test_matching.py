"""Tables of models as they lie about: in one table, in another order, without names of cases, as columns."""

import numpy as np
import pandas as pd
import pytest

import fairseg


@pytest.fixture
def both() -> pd.DataFrame:
    """Two models of 40 subjects in one table."""
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"subject": [f"p{at}" for at in range(40)], "sex": ["F", "M"] * 20})
    before = rng.uniform(0.8, 0.9, 40)
    tables = [people.assign(model="plain", dice=before), people.assign(model="fair", dice=before + 0.01)]
    return pd.concat(tables, ignore_index=True)


def test_models_of_one_table_are_compared_by_the_line_that_the_errors_give(both: pd.DataFrame) -> None:
    for call in (
        lambda: fairseg.compare(both, by="sex"),
        lambda: fairseg.compare(both, by="sex", model="model"),
    ):
        with pytest.raises((TypeError, ValueError)) as error:
            call()
        line = str(error.value).split("fairseg.compare(")[-1]
        result = eval(f"fairseg.compare({line}", {"fairseg": fairseg, "table": both})
        assert list(result.models) == ["fair", "plain"]
        assert "model" not in result.scores.attributes


def test_a_column_that_groups_are_made_of_bars_even_if_it_names_the_model(both: pd.DataFrame) -> None:
    parts = dict(iter(both.groupby("model")))
    with pytest.raises(
        ValueError, match=r"models must agree on model, got 'plain' in plain and 'fair' in fair"
    ):
        fairseg.compare(parts, by=["sex", "model"])


def test_images_without_names_in_another_order_ask_for_a_column_case(both: pd.DataFrame) -> None:
    one = both[both["model"] == "plain"].drop(columns="model")
    images = pd.concat([one.assign(frame="ED"), one.assign(frame="ES")])
    with pytest.raises(ValueError, match="models must agree on frame") as error:
        fairseg.compare({"a": images, "b": images[::-1]}, by="sex")
    line = str(error.value).split("such as ")[1]
    for table in (a := images.copy(), b := images[::-1].copy()):
        exec(line, {"table": table})
    assert fairseg.compare({"a": a, "b": b}, by="sex").models["a"].table["case"].nunique() == 80
    disagree = one.assign(sex=["M", "F"] * 20)
    with pytest.raises(ValueError, match=r"for case p0$"):
        fairseg.compare({"a": one, "b": disagree}, by="sex")


def test_columns_alone_ask_for_the_groups(both: pd.DataFrame) -> None:
    series = {"a": both["dice"], "b": both["dice"]}
    with pytest.raises(ValueError, match=r"model 'a' is one value a subject.*groups=table\['sex'\]"):
        fairseg.compare(series, by="sex")
    assert fairseg.compare(series, groups=both["sex"]).verdicts
