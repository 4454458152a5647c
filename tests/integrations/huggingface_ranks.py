"""What each process of the test of the Trainer does; started by torchrun with a folder for its results."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseg.integrations.huggingface import group_metrics, label_masks
from fairseg.samplers import GroupBatchSampler
from tests.integrations.test_huggingface import GROUPS, NAMES, Cohort, make_trainer


def main(folder: Path) -> None:
    def trainer() -> Any:
        return make_trainer(
            folder / "run",
            args={"num_train_epochs": 2, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 5},
            group_sampler=GroupBatchSampler(GROUPS, 2, num_replicas=1, rank=0),
            eval_dataset=Cohort(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, -1, -1])),
            subject_key="subject",
            compute_metrics=group_metrics(NAMES, [1], samples="slices", ignore=255),
            preprocess_logits_for_metrics=label_masks,
        )

    whole = trainer()
    whole.train()
    again = trainer()
    again.train(resume_from_checkpoint=str(folder / "run" / "checkpoint-2"))
    results = {
        "drawn": whole.train_dataset.drawn,
        "drawn again": again.train_dataset.drawn[-8:],
        "weight": [one.group_loss.group_weight for one in (whole, again)],
        "models": [one.model.state_dict() for one in (whole, again)],
        "evaluated": whole.evaluate(),
    }
    torch.save(results, folder / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
