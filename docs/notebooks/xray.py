# %% [markdown]
# # Chest X-rays: from the files as they came to a page
#
# PNG masks with grey values for labels, a model that numbers the same structures otherwise, a table out of a
# hospital system with `?` for an age that nobody knows. No file is changed by hand. The masks are made up,
# so that this runs anywhere.

# %%
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:128, :128]


def ellipse(y, x, height, width):
    return ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1


def chest(place, size, values):  # right lung, left lung, heart
    mask = np.zeros((128, 128), dtype=np.uint8)
    mask[ellipse(place[0], place[1] - 26, 40 * size, 20 * size)] = values[0]
    mask[ellipse(place[0], place[1] + 26, 40 * size, 20 * size)] = values[1]
    mask[ellipse(place[0] + 14, place[1] + 6, 20 * size, 22 * size)] = values[2]
    return mask


people = []
for number in range(90):
    sex = "F" if number % 3 == 0 else "M"
    person, size, place = f"P{number:03d}", rng.uniform(0.8, 1.0), rng.normal(64, 4, size=2)
    error = 0.10 if sex == "F" else 0.03  # the model draws women's organs too large
    for folder, scale, values in [
        ("truth", size, (150, 200, 250)),
        ("model", size * (1 + rng.normal(error, 0.02)), (1, 2, 3)),
    ]:
        Path(folder).mkdir(exist_ok=True)
        Image.fromarray(chest(place, scale, values)).save(f"{folder}/{person}.png")
    age = "?" if number % 20 == 7 else str(rng.integers(25, 85))
    people.append({"Image": person, "Sex": sex, "Age": age})
pd.DataFrame(people).to_csv("people.csv", index=False, sep=";")
print(Path("people.csv").read_text()[:60])

# %% [markdown]
# ## What is there?
#
# `check` reads everything and computes nothing. It says which values both sides have.

# %%
import fairseg
from fairseg.cohort import TableOptions

options = TableOptions(na=["?"], case_column="Image")
folders = {"predictions": "model", "references": "truth"}
fairseg.check(**folders, cohort="people.csv", options=options)

# %% [markdown]
# The codes differ, so they are named on both sides; a structure may be a union: both lungs together. PNG
# states no pixel size, so it is given, in mm.

# %%
labels = {"lungs": (150, 200), "right lung": 150, "left lung": 200, "heart": 250}
codes = {"lungs": (1, 2), "right lung": 1, "left lung": 2, "heart": 3}
asked = {"labels": labels, "prediction_labels": codes, "spacing": (2.7, 2.7)}
table = fairseg.read_cohort("people.csv", options)
fairseg.check(**folders, cohort=table, by="Sex", bins={"Age": [50]}, **asked)

# %% [markdown]
# ## Scores, and the answer
#
# Beside Dice the relative error of the area, which says who is over-segmented.

# %%
scores = fairseg.evaluate(**folders, cohort=table, metrics=["dice", "hd95", "volume_error"], **asked)
result = fairseg.audit(scores, by="Sex", reference="M", also=["Age"], bins={"Age": [50]})
result

# %%
scores.pivot_table("volume_error", "label", "Sex", aggfunc="median").round(3)

# %% alt="Gaps in Dice by sex and age with their limits"
result.plot("gaps")

# %% [markdown]
# ## The page

# %%
result.save("report")
