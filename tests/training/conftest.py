"""A tiny phantom and a tiny recipe, which the tests of training share."""

from pathlib import Path

import pytest

from fairseg.datasets.phantom import write_phantom
from fairseg.training import Settings


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    counts = {"White": 6, "Black": 2}
    write_phantom(folder, subjects=counts, test_subjects=1, shape=(32, 32), spacing=6.0, slices=2)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def tiny() -> Settings:
    return Settings(
        by=("group",),
        features=4,
        most_features=8,
        epochs=2,
        steps=3,
        batch_size=4,
        patch_size=(32, 32),
        learning_rate=0.1,
        momentum=0.9,
        device="cpu",
    )


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second cohort with the same number of the same two groups, other hearts."""
    folder = tmp_path_factory.mktemp("other")
    counts = {"White": 6, "Black": 2}
    write_phantom(folder, subjects=counts, test_subjects=1, shape=(32, 32), spacing=6.0, slices=2, seed=9)
    return folder
