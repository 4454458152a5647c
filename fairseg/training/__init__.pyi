from .loop import train as train
from .prediction import predict as predict
from .ranks import joined_by_torchrun as joined_by_torchrun
from .settings import Settings as Settings

__all__: list[str]
