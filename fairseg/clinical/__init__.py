"""Clinical measures: volumes, ejection fraction and mass, and their agreement by group."""

from fairseg.clinical.agreement import Agreement, agreement, bland_altman_points
from fairseg.clinical.measures import ClinicalMeasures, clinical_measures

__all__ = ["Agreement", "ClinicalMeasures", "agreement", "bland_altman_points", "clinical_measures"]
