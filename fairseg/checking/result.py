"""`fairseg.check`: files, tables and groups before anything is computed, and what to do about them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fairseg.checking import inputs
from fairseg.checking.checked import SEVERITIES, Checked
from fairseg.checking.page import answer, card_of, findings_table, save_page, to_terminal
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import Cohort, with_columns
from fairseg.io.calls import says_what_to_type
from fairseg.metrics.masks import Structures
from fairseg.report.analyses import audit_as_meant
from fairseg.scoring.voxel_sizes import Spacing


class CheckResult(Checked):
    """The data that were checked, and the findings on them. Printed, it is every finding and what to do.

    Its attributes are those of `Checked`.
    """

    @cached_property
    def sentence(self) -> str:
        """The answer in a sentence or two."""
        return answer(self)

    def save(self, folder: str | Path) -> Path:
        """Write `check.html`, `check.md`, `findings.csv`, `files.csv` into a folder; return the page's path.

        Raises:
            ValueError: the folder cannot be written.
        """
        return save_page(self, Path(folder))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return to_terminal(self)

    def _repr_html_(self) -> str:
        return card_of(self, [findings_table("What to do", self.details)]).html()


@says_what_to_type(
    "fairseg.check('dataset', by='sex'), or fairseg.check('predictions', 'references', 'groups.csv')",
    audit_as_meant,
)
def check(
    data: Any = None,
    *,
    predictions: str | Path | None = None,
    references: str | Path | None = None,
    cohort: Cohort | None = None,
    by: str | Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    ignore: int | None = None,
    spacing: Spacing | None = None,
    split: str | Path | None = None,
    metric: str = "dice",
    options: TableOptions | None = None,
    wide: Sequence[str] = (),
    percent: bool = False,
    num_workers: int = 1,
    progress: bool = False,
    case_column: str | None = None,
    subject_column: str | None = None,
) -> CheckResult:
    """Say what is there before anything is computed, what is wrong with it, and what to do about it.

    Give one of: a dataset in nnU-Net's raw layout with groups.csv, as `fairseg.training.train` and
    `fairseg.understand` take it; a table of scores or of cases, as `fairseg.audit` and `read_cohort` take it;
    or folders of masks, `predictions` and `references`, with `cohort`. Every file is read, whatever is wrong
    with others; nothing is scored.

    Args:
        data: folder of the dataset; path of a table; a DataFrame or mapping of columns.
        predictions: folder of predicted masks.
        references: folder of reference masks.
        cohort: table of cases with the attributes. Of a dataset: groups.csv in it, unless given.
        by: attributes that groups will be made of: their faults are more than notes.
        bins: attribute -> edges that cut a numeric attribute.
        labels: as in `fairseg.evaluate`, like the next three.
        prediction_labels: the same of the predictions, where these have other values.
        ignore: value of voxels in the reference that count for nothing.
        spacing: of files that state none, as in `fairseg.evaluate`.
        split: table with the columns subject and part. None: a column of the table with levels such as
            "train" and "test", or with the name "fold", is used.
        metric: of a table of scores, the column to judge by.
        options: how tables differ from what is read by default.
        wide: of a table of scores, its columns of scores, one a label.
        percent: of a table of scores, whether shares are percentages.
        num_workers: processes that read files.
        progress: show a bar on stderr if it is a terminal.
        case_column: the column of the table that names the cases, where it is not found by its name.
        subject_column: the column that names the subjects, likewise.

    Returns:
        The findings; refusals of the readers are among them.

    Raises:
        ValueError: nothing was given to look at, or several things, or a folder that is no dataset.

    >>> table = {"case": ["a", "b", "c"], "sex": ["F", "f", "M"]}
    >>> result = check(table, by="sex")
    >>> result.exit_code, result.findings["kind"].tolist()
    (1, ['alike', 'small_groups'])
    """
    check_options = inputs.CheckOptions(
        by=(by,) if isinstance(by, str) else tuple(by),
        bins=dict(bins or {}),
        labels=labels,
        prediction_labels=prediction_labels,
        ignore=ignore,
        spacing=spacing,
        split=split,
        metric=metric,
        table_options=with_columns(options, case_column, subject_column),
        wide=wide,
        percent=percent,
        num_workers=num_workers,
        progress=progress,
    )
    folders = (predictions, references)
    if (data is None) == (folders == (None, None)) or (None in folders and data is None):
        raise ValueError("check needs data, or predictions and references: one of the two")
    result = CheckResult()
    if data is None:
        inputs.from_folders(Path(str(predictions)), Path(str(references)), cohort, result, check_options)
    elif isinstance(data, str | Path) and Path(data).is_dir():
        inputs.from_dataset(Path(data), cohort, result, check_options)
    else:
        if cohort is not None:
            raise ValueError("cohort goes with folders of masks: a table of scores has the attributes itself")
        inputs.from_table(data, result, check_options)
    result.details.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return result
