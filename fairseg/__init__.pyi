from . import checking as checking
from . import clinical as clinical
from . import cohort as cohort
from . import crop as crop
from . import datasets as datasets
from . import experiment as experiment
from . import losses as losses
from . import metrics as metrics
from . import report as report
from . import samplers as samplers
from . import scoring as scoring
from . import statistics as statistics
from . import training as training
from . import understanding as understanding
from .checking.result import check as check
from .cohort import Groups as Groups
from .cohort import read_cohort as read_cohort
from .crop import Cascade as Cascade
from .losses import DiceCELoss as DiceCELoss
from .losses import GroupDROLoss as GroupDROLoss
from .losses import ReweightedLoss as ReweightedLoss
from .losses import group_weights as group_weights
from .metrics import by_group as by_group
from .metrics import dice as dice
from .metrics import fairness_gap as fairness_gap
from .metrics import score_case as score_case
from .metrics import skewed_error_ratio as skewed_error_ratio
from .report.audit import audit as audit
from .report.compare.result import compare as compare
from .report.planning import plan as plan
from .samplers import GroupBatchSampler as GroupBatchSampler
from .scoring import evaluate as evaluate
from .statistics.verdicts import Verdict as Verdict
from .understanding.result import understand as understand

__version__: str
__all__: list[str]
