# %% [markdown]
# # Audit a model
#
# Two folders of masks and a table of who is who: that is all an audit needs. Here they are made up, so that
# this runs anywhere; put your own in their place. As one command it is `fairseg audit predictions
# references --groups groups.csv --by sex --reference M --out report`.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import SimpleITK as sitk
from IPython.display import SVG

from fairseg import Groups, read_cohort
from fairseg.datasets import write_example
from fairseg.report import Extras, Files, Judging, summarize, write_report
from fairseg.scoring import evaluate

write_example(".")  # predictions/, references/, groups.csv, dataset.json
cohort = read_cohort("groups.csv")
cohort.head()

# %% [markdown]
# ## 1. Score every case
#
# One row a case and label. A structure that the model missed has Dice 0 and no distance.

# %%
scores = evaluate("predictions", "references", cohort, metrics=("dice", "hd"))
scores.round(3).head()

# %% [markdown]
# ## 2. By group
#
# The score of a subject is the mean over labels and cases, that of a group the median over its subjects.
# One subject has no sex on record: nobody is guessed into a group, and the count says so.

# %%
groups = Groups.from_table(cohort, by="sex")
overall, *labels = summarize(scores, groups, reference="M")
overall.table.round(3)

# %% [markdown]
# ## 3. Is it shown?
#
# State the largest gap that would not matter to you **before you look**; here 0.01. The report judges every
# gap, with an interval and with what a cohort of this size could have shown at all. By default a group
# needs ten subjects to be judged; there are nine women, so we say beforehand that eight will do.

# %% alt="Box plots of Dice and Hausdorff distance of women and men"
files = Files(Path("predictions"), Path("references"))
overall, *labels = write_report(
    scores,
    groups,
    "report",
    reference="M",
    judging=Judging(margin=0.01, min_size=8),
    extras=Extras(files=files),
)
for part in (overall, *labels):
    found = part.evidence
    low, high = found.gap.low, found.gap.high
    print(f"{part.structure:8} gap {found.gap.estimate:.3f} ({low:.3f} to {high:.3f}): {found.verdict}")
SVG("report/overall.svg")

# %% [markdown]
# ## 4. Look at the worst
#
# Numbers say that a group fares worse, pictures may say why. The woman with the lowest Dice, on the slice
# where the masks differ most; the page has such pictures of every group.

# %% alt="The reference mask and the predicted mask of one slice, side by side"
case = scores[scores["sex"] == "F"].groupby("case")["dice"].mean().idxmin()
masks = [
    sitk.GetArrayFromImage(sitk.ReadImage(f"{folder}/{case}.nii.gz"))
    for folder in ("references", "predictions")
]
place = (masks[0] != masks[1]).sum(axis=(1, 2)).argmax()
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for ax, mask, title in zip(axes, masks, ("Reference", "Prediction"), strict=True):
    ax.imshow(mask[place], cmap="viridis", interpolation="nearest")
    ax.set_title(f"{title}, {case}", fontsize=9)
    ax.axis("off")

# %% [markdown]
# ## To keep
#
# `report/report.html` is one file that opens anywhere, and holds all of the above; `report/summary.tex` is
# the table for a paper; `scores.csv` lets you group by something else without scoring again (`fairseg
# report scores.csv --by age --bins age=60`).

# %%
scores.to_csv("scores.csv", index=False)
for path in sorted(Path("report").iterdir()):
    print(f"{path.name:20} {path.stat().st_size / 1e3:7.1f} kB")
