from .groups import UNKNOWN as UNKNOWN
from .groups import Groups as Groups
from .ids import GroupIds as GroupIds
from .ids import as_groups as as_groups
from .ids import as_ids as as_ids
from .pseudonyms import Pseudonyms as Pseudonyms
from .reading import TableOptions as TableOptions
from .table import fold_subjects as fold_subjects
from .table import read_cohort as read_cohort
from .table import read_split as read_split
from .table import rows_of as rows_of
from .table import split_subjects as split_subjects

__all__: list[str]
