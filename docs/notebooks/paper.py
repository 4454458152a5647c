# %% [markdown]
# # The paper's tables, from the paper's figures
#
# Lee et al. (2025) print medians of two groups for every method, and two measures made of them: skewed
# error ratio (SER) and fairness gap. Here both are computed again from the medians alone, and the paper's
# findings are drawn. No data are needed: fairseg keeps the printed figures to set them beside an experiment
# of your own.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from fairseg.experiment.paper import PRINTED
from fairseg.metrics import fairness_gap, skewed_error_ratio

rows = []
for test_set, arms in PRINTED.items():
    for arm, printed in arms.items():
        white, black = (float(text) for text in printed.medians["Median DSC"])
        rows.append(
            {
                "test set": test_set,
                "arm": arm,
                "White": white,
                "Black": black,
                "gap": fairness_gap([white, black], reference=0),
                "gap printed": float(printed.gap),
                "SER": skewed_error_ratio([white, black]),
                "SER printed": float(printed.ser),
                "p": printed.p,
            }
        )
table = pd.DataFrame(rows)
table[table["test set"] == "internal"].drop(columns="test set").round(3)

# %% [markdown]
# ## Do they agree?
#
# Medians are printed to three decimals, so each may be off by 0.0005: a gap by up to 0.001, a ratio of
# errors by more the smaller the errors are. What rounding cannot explain would be a contradiction; there
# are three such figures, all in the supplement
# ([where](../paper.md#where-printed-figures-contradict-themselves)).

# %%
HALF = 0.0005


def ratio_range(row):
    worst, best = sorted((1 - row["White"], 1 - row["Black"]), reverse=True)
    return (worst - HALF) / (best + HALF), (worst + HALF) / (best - HALF)


gap_off = (table["gap"] - table["gap printed"]).abs() > 2 * HALF + HALF + 1e-9
low, high = zip(*table.apply(ratio_range, axis=1), strict=True)
ser_off = (table["SER printed"] < pd.Series(low) - HALF) | (table["SER printed"] > pd.Series(high) + HALF)
print(
    f"{(~gap_off).sum()} of {len(table)} gaps and {(~ser_off).sum()} of {len(table)} ratios within rounding"
)
table[gap_off | ser_off]

# %% [markdown]
# ## What the paper found
#
# Each line joins the medians of the two groups, on the internal test set; the shorter, the fairer. On full
# images only oversampling brings Black subjects up to White ones; crops lift both.

# %% alt="Median Dice of White and Black subjects for each method, on full images, crops and cascades"
internal = table[table["test set"] == "internal"].set_index("arm")
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharex=True)
for ax, region in zip(axes, ("full", "crop", "cascade"), strict=True):
    part = internal[internal.index.str.startswith(region)]
    names = [name.split("/")[1].replace("group_dro", "Group DRO").replace("+", " +\n") for name in part.index]
    places = range(len(part))
    ax.hlines(places, part["Black"], part["White"], color="#999")
    ax.plot(part["White"], places, "o", color="#444", label="White")
    ax.plot(part["Black"], places, "o", color="#1f78b4", label="Black")
    ax.set_yticks(places, names, fontsize=8)
    ax.set_ylim(len(part) - 0.5, -0.5)
    ax.set_title({"full": "Full images", "crop": "Crops by the reference", "cascade": "Cascade"}[region])
    ax.set_xlabel("Median DSC")
axes[0].legend()
figure.tight_layout()

# %% [markdown]
# A gap of medians says nothing of how sure it is: the paper tests it (p, where * is below 0.05), and prints
# no interval. With the subjects' own scores, `fairseg compare` gives both; from medians alone nobody can.
#
# ## To keep
#
# The table as CSV and LaTeX, to set your own results beside it.

# %%
table.to_csv("paper.csv", index=False)
columns = ["White", "Black", "gap", "SER"]
Path("paper.tex").write_text(internal[columns].to_latex(float_format="%.3f"))
print(Path("paper.tex").read_text()[:300])
