"""Where a bias may come from: is the group readable from the image, where, and does a model go by it?

`fairseg.understand` is the way in. The room is not called `understand`, so that this name is the function.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
