"""Data sets: the phantom cohort, an example of masks to audit, and `convert` for folders of challenges."""

from fairseg.datasets.converters import CONVERTERS, convert
from fairseg.datasets.example import write_example
from fairseg.datasets.phantom import SHIFT, Shift, write_phantom

__all__ = ["CONVERTERS", "SHIFT", "Shift", "convert", "write_example", "write_phantom"]
