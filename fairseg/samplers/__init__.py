"""Index streams with a set share of every group; NumPy only, for any data loader."""

from fairseg.samplers.batches import GroupBatchSampler
from fairseg.samplers.samples import GroupWeightedSampler

__all__ = ["GroupBatchSampler", "GroupWeightedSampler"]
