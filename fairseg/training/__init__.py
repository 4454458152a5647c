"""The reference training in 2D: nnU-Net's recipe, with the methods for fairness; and prediction with it.

`train` and `predict` do what `fairseg train` and `fairseg predict` do; `Settings` holds every number.
"""

import getpass
import os

import lazy_loader

try:
    getpass.getuser()
except (KeyError, OSError):  # a number without a name, as in containers, where MONAI and torch ask for one
    os.environ["LOGNAME"] = f"uid{os.getuid()}"

# The command line makes its options from `Settings`, which needs no torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
