"""Data that fairseg makes itself: the phantom cohort, and an example of masks to audit."""

from fairseg.datasets.example import write_example
from fairseg.datasets.phantom import SHIFT, Shift, write_phantom

__all__ = ["SHIFT", "Shift", "write_example", "write_phantom"]
