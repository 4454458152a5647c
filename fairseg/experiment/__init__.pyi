from . import demo as demo
from . import page as page
from .arms import NOT_SHARED as NOT_SHARED
from .arms import PRESETS as PRESETS
from .engines import Cluster as Cluster
from .engines import InProcess as InProcess
from .engines import Processes as Processes
from .plan import Plan as Plan
from .run import default_attribute as default_attribute
from .run import make_recipe as make_recipe
from .run import run_experiment as run_experiment
from .tasks import Machine as Machine

__all__: list[str]
