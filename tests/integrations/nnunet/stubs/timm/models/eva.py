"""See the package."""

from timm.layers import _Absent as EvaBlock  # noqa: F401
