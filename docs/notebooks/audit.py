# %% [markdown]
# # Audit a model
#
# A table with one row a subject is enough: who they are, and how well the model did. Here it is made up, so
# that this runs anywhere; put your own in its place. Nothing is written until you ask for it.

# %%
import numpy as np
import pandas as pd

import fairseg

rng = np.random.default_rng(0)
sex = np.repeat(["M", "F"], [120, 60])
dice = np.where(sex == "M", 0.92, 0.89) + rng.normal(0, 0.025, 180)
failed = rng.choice(np.flatnonzero(sex == "F"), 9, replace=False)
dice[failed] = 0.3  # nine women whom the model fails
df = pd.DataFrame({"sex": sex, "site": rng.choice(["A", "B"], 180), "dice": dice.clip(0, 1)})
df.head()

# %% [markdown]
# ## One call
#
# State what would not matter to you **before you look**: a difference of 0.02 in the typical Dice, of five
# points in failures, of ten points among the hardest tenth of all subjects are the defaults. The card says
# what is shown.

# %%
result = fairseg.audit(df, by="sex", reference="M", also=["site"])
result

# %% [markdown]
# The verdict is one of an enumeration, so a program can act on it.

# %%
result.verdict, result.verdict is fairseg.Verdict.GAP

# %% [markdown]
# ## What it rests on
#
# Each gap is judged three times: in the typical case, in failures, and in the hardest tenth. A model can be
# level in the first and fail a fifth of one group. The limits hold over the whole page.

# %%
columns = ["attribute", "endpoint", "first", "second", "estimate", "low", "high", "p_adjusted", "verdict"]
result.findings[columns].round(3)

# %%
result.groups.round(3)

# %% [markdown]
# ## Pictures to go on with
#
# `plot` returns matplotlib's axes.

# %% alt="Box plots of the Dice of women and men"
axes = result.plot("boxes")
axes.set_ylabel("Dice of my model")

# %% alt="Gaps by sex and site with their limits"
result.plot("gaps")

# %% [markdown]
# ## When you want files
#
# `save` writes the page and the tables of `fairseg report`; `figures=True` draws figures for a paper too.

# %%
result.save("report")

# %% [markdown]
# ## From masks
#
# With folders of masks and a table of cases, `fairseg.evaluate` scores first; its table goes into the same
# call.

# %%
from fairseg.datasets import write_example

write_example(".")  # predictions/, references/, groups.csv, dataset.json
scores = fairseg.evaluate("predictions", "references", "groups.csv")
scores.round(3).head()

# %%
fairseg.audit(scores, by="sex", reference="M", min_size=8)
