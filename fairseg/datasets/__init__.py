"""Data sets: those that fairseg makes itself, and challenges' folders that it converts.

The phantom cohort, an example of masks to audit; `convert` for what people download.
"""

from fairseg.datasets.converters import CONVERTERS, convert
from fairseg.datasets.example import write_example
from fairseg.datasets.phantom import SHIFT, Shift, write_phantom

__all__ = ["CONVERTERS", "SHIFT", "Shift", "convert", "write_example", "write_phantom"]
