"""The paper's whole experiment: every method, on full images and crops, over seeds, on one machine or many.

`run_experiment(Plan(...), out)` does what `fairseg experiment` does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
