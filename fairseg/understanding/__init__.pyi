from .readability import Reading as Reading
from .readability import Readings as Readings
from .readability import read_groups as read_groups
from .result import UnderstandResult as UnderstandResult
from .result import understand as understand

__all__: list[str]
