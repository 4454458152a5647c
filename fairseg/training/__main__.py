"""`fairseg train` in several processes: torchrun --nproc-per-node 4 -m fairseg.training DATASET ..."""

import sys
from collections.abc import Sequence

from fairseg.cli import main


def run(arguments: Sequence[str]) -> int:
    """Run `fairseg train` with these arguments, in this process of several; return the exit code."""
    return main(["train", *arguments])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
