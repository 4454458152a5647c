"""The paper's whole experiment: every method, on full images and crops, over seeds, on one machine or many.

`run_experiment(Plan(...), out)` does what `fairseg experiment` does.
"""

from fairseg.training.experiment.engines import Cluster, InProcess, Processes
from fairseg.training.experiment.plan import Plan
from fairseg.training.experiment.run import make_recipe, run_experiment

__all__ = ["Cluster", "InProcess", "Plan", "Processes", "make_recipe", "run_experiment"]
