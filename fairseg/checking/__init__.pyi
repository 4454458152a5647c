from .findings import CheckFinding as CheckFinding
from .findings import Severity as Severity
from .result import CheckResult as CheckResult
from .result import check as check

__all__: list[str]
