from .folders import evaluate as evaluate
from .table import Scores as Scores
from .table import read_scores as read_scores
from .table import scores_to_files as scores_to_files

__all__: list[str]
