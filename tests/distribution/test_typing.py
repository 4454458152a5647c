"""`mypy --strict` in a user's own project knows every public name of the installed wheel.

Types of torch are read too: 45 seconds of a core on the first run, 10 once the cache is there.
"""

import re
import subprocess
import sys
import venv
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.test_public_names import MODULES

pytestmark = pytest.mark.slow

CACHE = Path(__file__).parent.parent.parent / ".mypy_cache" / "of_a_user"
PROGRAM = """
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from fairseg import Groups, read_cohort
from fairseg.crop import Box, crop
from fairseg.losses import DiceCELoss, GroupDROLoss, GroupLoss
from fairseg.metrics import by_group, dice, fairness_gap
from fairseg.statistics import Interval, bootstrap_interval
from fairseg.samplers import GroupBatchSampler


class Softmax(GroupLoss):
    def weights(self, loss: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        return torch.where(count > 0, loss, -torch.inf).softmax(0)


groups = Groups.from_table(read_cohort("groups.csv"), by=("sex", "ethnicity"))
ids = groups.encode({"sex": ["F"], "ethnicity": ["Black"]})
loader = DataLoader(TensorDataset(torch.zeros(4, 1)), batch_sampler=GroupBatchSampler(ids, batch_size=12))
losses: list[GroupLoss] = [GroupDROLoss(len(groups), DiceCELoss(pool="group")), Softmax(len(groups))]
value: torch.Tensor = losses[0](torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4), torch.tensor([0]))
medians, counts = by_group(dice(np.ones((2, 2)), np.ones((2, 2)), {"LV": 1}), ids, num_groups=len(groups))
gap: float = fairness_gap(medians, reference=groups.index("sex=F, ethnicity=Black"))
interval: Interval = bootstrap_interval([0.9, 0.8], [0, 1], 2, "fairness_gap")
box: Box = Box((0, 0), (2, 2)).resized((3, 3))
"""


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel installed, which sees this one's dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    dependencies = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    return folder / "bin" / "python"


def mypy(python: Path, program: str, folder: Path) -> str:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python)]
    done = subprocess.run(
        [*command, "--cache-dir", str(CACHE), "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_public_name_has_a_type_of_its_own_in_a_users_file(python: Path, tmp_path: Path) -> None:
    names = [f"{module}.{name}" for module in MODULES for name in import_module(module).__all__]
    lines = [f"import {module}" for module in MODULES] + [f"reveal_type({name})" for name in names]
    out = mypy(python, "\n".join(lines) + "\n" + PROGRAM, tmp_path)
    assert out.endswith("Success: no issues found in 1 source file\n"), out
    revealed = re.findall(r'Revealed type is "(.*)"', out)
    assert len(revealed) == len(names)
    vague = {
        name
        for name, kind in zip(names, revealed, strict=True)
        if kind in ("Any", "object", "builtins.object")
    }
    assert not vague


def test_a_wrong_call_is_found(python: Path, tmp_path: Path) -> None:
    wrong = "from fairseg.metrics import dice\nscore: str = dice([[1]], [[1]], labels={'LV': 'one'})\n"
    out = mypy(python, wrong, tmp_path)
    assert "[arg-type]" in out
    assert "Incompatible types in assignment" in out
