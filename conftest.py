"""What pytest leaves out where a library that is not always installed is missing."""

from importlib.util import find_spec

# The tests of these say that they skip; their doctests could not even be collected.
NEED_NNUNET = ["fairseg/integrations/nnunet/loader.py", "fairseg/integrations/nnunet/trainers.py"]
collect_ignore = NEED_NNUNET if find_spec("nnunetv2") is None else []
