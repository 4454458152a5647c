"""The model card: YAML that is read, the sentences of the page, nothing that Markdown takes for marks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fairseg import audit
from fairseg.cli import main
from fairseg.report import ReportSections
from fairseg.report.escape import markdown
from fairseg.report.notes import first_notes, method


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    site = ["a_*b*"] * 20 + ["<c>"] * 20 + ["few"] * 3
    dice = np.r_[rng.normal(0.93, 0.01, 20), rng.normal(0.85, 0.01, 20), [0.9] * 3]
    return pd.DataFrame(
        {"subject": [f"s{i}" for i in range(43)], "site": site, "sex": ["F", "M"] * 21 + ["F"], "dice": dice}
    )


def test_a_card_says_what_the_page_says(table: pd.DataFrame) -> None:
    result = audit(table, by="site", also="sex", sections=ReportSections(model='Net "2": a_b'))
    _, head, body = result.model_card().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "pipeline_tag": "image-segmentation",
        "tags": ["fairness", "medical"],
        "metrics": ["DSC"],
    }
    assert '# Model card for Net "2": a\\_b\n' in body
    notes = first_notes(result)
    assert notes  # the small group
    for sentence in (result.sentence, *notes, method(result)):
        assert markdown(sentence) in body
    for verdict, name in ((result.verdict, "site"), (result.judgement.verdicts["sex"], "sex")):
        assert f"**{verdict.label.capitalize()}**, by {name}." in body
    for mark in ("a_*b*", "<c>"):
        assert mark not in body
        assert markdown(mark) in body


def test_the_command_writes_a_card_and_never_over_another_file(table: pd.DataFrame, tmp_path: Path) -> None:
    scores, card = tmp_path / "scores.csv", tmp_path / "model" / "README.md"
    table.to_csv(scores, index=False)
    command = ["report", str(scores), "--by", "site", "--resamples", "100", "--model", "Net"]
    command += ["--out", str(tmp_path / "out"), "--model-card", str(card)]
    assert main(command) == 0
    assert card.read_text().startswith("---\n")
    assert "# Model card for Net\n" in card.read_text()
    assert main(command) == 0  # its own is replaced
    card.write_text("written by hand")
    assert main(command) == 2
    assert card.read_text() == "written by hand"
