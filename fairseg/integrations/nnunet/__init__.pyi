from .environment import read_environment as read_environment
from .export import export_model as export_model
from .install import TRAINERS as TRAINERS
from .install import VARIABLE as VARIABLE
from .install import write_trainers as write_trainers
from .scores import read_summaries as read_summaries
from .splits import write_splits as write_splits

__all__: list[str]
