"""The paper's whole experiment: every method, on full images and crops, over seeds, on one machine or many.

`run_experiment(Plan(...), out)` does what `fairseg experiment` does.
"""

from fairseg.experiment.engines import Cluster, InProcess, Processes
from fairseg.experiment.plan import Plan
from fairseg.experiment.run import make_recipe, run_experiment

__all__ = ["Cluster", "InProcess", "Plan", "Processes", "make_recipe", "run_experiment"]
