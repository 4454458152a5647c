"""From folders of masks and a cohort to the scores table, in memory and as a file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
