"""Scoring in the workers of a Dask cluster, as docs/experiment.md shows."""

from pathlib import Path

import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from joblib import parallel_config

from fairseg import read_cohort
from fairseg.scoring import evaluate


@pytest.mark.filterwarnings("ignore:`apply_async` is deprecated:DeprecationWarning")  # joblib 1.5 on itself
def test_scores_from_the_workers_of_a_cluster_are_those_of_one_process(cohort: Path) -> None:
    arguments = cohort / "predictions", cohort / "references", read_cohort(cohort / "groups.csv")
    alone = evaluate(*arguments)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        parallel_config(backend="dask"),
    ):
        before = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        pd.testing.assert_frame_equal(evaluate(*arguments, num_workers=4), alone)
        after = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        assert after >= before + 2 * len(alone["case"].unique())  # it was they who did it
