"""The figures that Lee et al. (2025) print, to stand beside an experiment's own: another dataset's.

UK Biobank (internal) and a clinical cohort (external), White and Black subjects, nnU-Net trained for 1000
epochs: Tables 4 to 7 (internal), 8 and 9 (external).
"""

from dataclasses import dataclass

GROUPS = ("White", "Black")
MEASURES = ("Median DSC", "IQR DSC", "Median HD (mm)", "IQR HD (mm)")

# Test set, arm; median DSC of both groups, its IQR, median HD in mm, its IQR; SER, fairness gap, and p.
_ROWS = """
internal full/baseline                0.896 0.846  0.046 0.064  6.725  9.364  3.707 4.725  1.486  0.050 *
internal full/oversampling            0.894 0.891  0.045 0.049  6.835  7.164  3.713 3.861  1.032  0.003 0.22
internal full/reweighting             0.891 0.831  0.049 0.069  7.174 10.037  4.207 4.902  1.544  0.059 *
internal full/group_dro               0.893 0.865  0.047 0.051  6.802  8.286  3.581 4.157  1.260  0.028 *
internal full/oversampling+group_dro  0.889 0.881  0.048 0.054  6.985  7.740  3.666 4.079  1.08   0.009 *
internal full/reweighting+group_dro   0.893 0.863  0.047 0.055  6.831  8.417  3.520 4.001  1.285  0.031 *
internal full/oversampling+reweighting 0.889 0.871 0.051 0.057  7.364  8.654  4.320 4.558  1.161  0.017 *
internal crop/baseline                0.917 0.888  0.039 0.047  5.713  7.895  2.669 3.960  1.340  0.028 *
internal crop/oversampling            0.906 0.914  0.031 0.044  6.394  6.479  3.359 3.211  1.088 -0.008 *
internal crop/reweighting             0.915 0.877  0.036 0.052  5.987  8.945  3.073 4.097  1.448  0.038 *
internal crop/group_dro               0.917 0.903  0.035 0.046  5.700  7.170  2.805 3.584  1.161  0.013 *
internal cascade/baseline             0.959 0.937  0.060 0.057  3.757  6.564  2.268 5.012  1.517  0.021 *
internal cascade/oversampling         0.958 0.941  0.064 0.058  3.731  4.929  2.129 2.717  1.380  0.016 *
internal cascade/reweighting          0.951 0.935  0.067 0.070  5.176  6.426  3.262 4.172  1.332  0.016 *
internal cascade/group_dro            0.955 0.943  0.068 0.058  3.841  4.623  2.039 3.327  1.276  0.012 *
external full/baseline                0.886 0.879  0.030 0.043  5.728  5.913  1.522 1.966  1.064  0.007 0.093
external full/oversampling            0.885 0.872  0.037 0.038  6.152  5.919  1.238 1.840  1.106  0.012 0.16
external crop/baseline                0.931 0.916  0.043 0.037  4.087  4.090  1.630 1.178  1.207  0.014 0.069
external crop/oversampling            0.918 0.906  0.040 0.033  4.793  4.594  1.321 1.529  1.141  0.012 *
external cascade/baseline             0.917 0.903  0.045 0.038  4.772  4.954  3.124 1.919  1.168  0.014 0.12
external cascade/oversampling         0.928 0.920  0.039 0.026  4.658  3.875  2.69  1.432  1.118  0.008 0.68
"""


@dataclass(frozen=True)
class Printed:
    """The printed figures of one model."""

    medians: dict[str, tuple[str, str]]  # measure of `MEASURES` -> (White, Black), as printed
    ser: str  # as printed
    gap: str  # likewise
    p: str  # "*" for below 0.05, or as printed


def _printed() -> dict[str, dict[str, Printed]]:
    printed: dict[str, dict[str, Printed]] = {"internal": {}, "external": {}}
    for test, key, *values in map(str.split, _ROWS.strip().splitlines()):
        pairs = zip(values[0:8:2], values[1:8:2], strict=True)
        printed[test][key] = Printed(dict(zip(MEASURES, pairs, strict=True)), *values[8:])
    return printed


PRINTED = _printed()  # test set -> key of an arm -> figures

# Table S4: how far the sizes of cascaded crops are off, percent in x and y.
BOX_ERRORS = {
    "baseline": ("3.70", "6.57"),
    "oversampling": ("0.0", "7.30"),
    "reweighting": ("1.48", "8.76"),
    "group_dro": ("0.0", "0.730"),
}
