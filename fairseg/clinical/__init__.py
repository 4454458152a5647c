"""What clinicians measure: volumes, ejection fraction and mass, and their agreement by group."""

from fairseg.clinical.agreement import agreement, bland_altman_points
from fairseg.clinical.measures import clinical_measures

__all__ = ["agreement", "bland_altman_points", "clinical_measures"]
