"""fairseg in Lightning: samplers that survive it, and the group metrics in its log; extra `lightning`."""

from fairseg.integrations import needs

with needs("lightning"):
    from fairseg.integrations.lightning.metrics import LogGroupMetrics
    from fairseg.integrations.lightning.sampling import KeepGroupSampler, sampler_for

__all__ = ["KeepGroupSampler", "LogGroupMetrics", "sampler_for"]
