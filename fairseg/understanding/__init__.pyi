from .readable import Reading as Reading
from .readable import Readings as Readings
from .readable import read_groups as read_groups
from .result import UnderstandResult as UnderstandResult
from .result import understand as understand

__all__: list[str]
