"""An integration whose library is missing names the extra that brings it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("monai", "ignite", "monai"),
        ("lightning", "lightning", "lightning"),
        ("torchmetrics", "torchmetrics", "torchmetrics"),
        ("huggingface", "torchmetrics", "torchmetrics"),
        ("fairlearn", "fairlearn", "fairlearn"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(name: str, missing: str, extra: str) -> None:
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {missing!r}", name={missing!r})

sys.meta_path.insert(0, Missing())
import fairseg.integrations.{name}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = f"No module named '{missing}'; it comes with the extra {extra}: pip install 'fairseg[{extra}]'"
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: {said}"
