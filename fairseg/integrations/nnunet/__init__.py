"""nnU-Net v2 with losses and batches that know groups; see docs/nnunet.md.

The trainers are in `fairseg.integrations.nnunet.trainers`, which imports nnU-Net; nothing else does but the
loader.
"""

from fairseg.integrations.nnunet.export import export_model
from fairseg.integrations.nnunet.install import TRAINERS, write_trainers
from fairseg.integrations.nnunet.scores import read_summaries
from fairseg.integrations.nnunet.splits import write_splits

__all__ = ["TRAINERS", "export_model", "read_summaries", "write_splits", "write_trainers"]
