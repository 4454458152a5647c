"""fairseg: fairness in medical image segmentation, from the audit of a model to its training.

The blocks stand alone: `fairseg.cohort` (who the subjects are), `fairseg.metrics` (scores of masks and
fairness measures), `fairseg.statistics` (intervals, tests, verdicts), `fairseg.scoring` (folders of masks to
scores), `fairseg.report` (tables, charts, pages), `fairseg.samplers` (balanced batches), `fairseg.losses`
(losses of groups), `fairseg.crop` (boxes, cascades), `fairseg.training` (the reference loop).
The names that most people type are here too: `fairseg.dice`, `fairseg.GroupBatchSampler`, ...
Importing the package costs nothing: what `__init__.pyi` names loads when it is first touched.
"""

import lazy_loader

from fairseg import deprecation

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

deprecation.install()
