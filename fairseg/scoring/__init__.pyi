from .evaluate import evaluate as evaluate
from .table import read_scores as read_scores

__all__: list[str]
