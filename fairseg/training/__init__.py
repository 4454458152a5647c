"""The reference training in 2D: nnU-Net's recipe, with the methods for fairness; and prediction with it.

`train` and `predict` do what `fairseg train` and `fairseg predict` do; `Settings` holds every number.
"""

from fairseg.training.loop import train
from fairseg.training.predict import predict
from fairseg.training.settings import Settings

__all__ = ["Settings", "predict", "train"]
