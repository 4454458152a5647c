"""nnU-Net v2 with losses and batches that know groups; see docs/nnunet.md.

The trainers are in `fairseg.integrations.nnunet.trainers`, which imports nnU-Net; nothing else does but the
loader.
"""

import lazy_loader

# The command `fairseg nnunet` imports this, and its help must not wait for pandas.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
