"""`python -m fairseg.training ...` is `python -m fairseg train ...`, kept for this version."""

import runpy
import sys

sys.argv[1:1] = ["train"]
runpy.run_module("fairseg", run_name="__main__", alter_sys=True)
