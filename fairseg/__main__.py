"""`python -m fairseg` is the command `fairseg`."""

import sys

from fairseg.cli import main

sys.exit(main())
