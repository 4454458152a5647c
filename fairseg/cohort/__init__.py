"""The table of cases: the subjects, and attribute values <-> ids <-> names.

`Groups` assigns subjects to named groups; `read_cohort` reads and checks the table;
`split_subjects` and `fold_subjects` set subjects aside, alike in every group.
"""

import lazy_loader

# The samplers and losses take `Groups` and need no pandas, which the table does.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
