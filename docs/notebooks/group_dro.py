# %% [markdown]
# # Group DRO in a PyTorch loop
#
# A batch sampler and a loss go into the loop and network that you have, here MONAI's `UNet`. First the
# plain loop, on a made-up cohort in which people of one group are rare and look different outside the
# heart; then two lines are changed.

# %%
import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
import torch
from monai.networks.nets import UNet
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from fairseg import Groups, read_cohort
from fairseg.datasets import SHIFT, write_phantom
from fairseg.losses import DiceCELoss, GroupDROLoss
from fairseg.metrics import by_group, dice, fairness_gap
from fairseg.samplers import GroupBatchSampler

write_phantom("phantom", subjects={"White": 80, "Black": 3}, test_subjects=16, shift=SHIFT.scaled(2.0))
cohort = read_cohort("phantom/groups.csv")
groups = Groups.from_table(cohort, by="group")
cohort.groupby(["split", "group"])["subject"].nunique().unstack()

# %% [markdown]
# ## Your data set
#
# Slices, masks, and **one group id a slice**. The ids come from the table; -1 would be unknown.


# %% alt="Slices of two White and two Black subjects of the made-up cohort"
def load(part, suffix):
    table = cohort[cohort["split"] == part].reset_index(drop=True)
    names = [f"{suffix}/{case}" for case in table["case"]]
    read = [sitk.GetArrayFromImage(sitk.ReadImage(f"phantom/images{name}_0000.nii.gz")) for name in names]
    images = np.stack([(stack - stack.mean()) / stack.std() for stack in read]).astype(np.float32)
    masks = [sitk.GetArrayFromImage(sitk.ReadImage(f"phantom/labels{name}.nii.gz")) for name in names]
    return table, torch.from_numpy(images)[:, :, None], torch.from_numpy(np.stack(masks)).long()


table, images, masks = load("train", "Tr")  # cases, slices, channel, y, x; and without channel
slices = table.loc[table.index.repeat(images.shape[1])]
ids = groups.encode(slices)
dataset = TensorDataset(images.flatten(0, 1), masks.flatten(0, 1), torch.from_numpy(ids))
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for ax, case in zip(axes, [0, 2, len(table) - 4, len(table) - 2], strict=True):
    ax.imshow(images[case, 1, 0], cmap="gray")
    ax.set_title(table["group"][case])
    ax.axis("off")

# %% [markdown]
# ## The loop
#
# Nothing in it knows of fairness, but that a batch carries its groups.

# %%
STEPS, BATCH = 120, 12


def train(loader, loss):
    torch.manual_seed(0)
    network = UNet(2, 1, 4, channels=(16, 32, 64), strides=(2, 2), num_res_units=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for image, mask, group in loader:
        value = loss(network(image), mask, group)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return network.eval()


base = DiceCELoss()
seed = torch.Generator().manual_seed(0)
natural = RandomSampler(dataset, num_samples=STEPS * BATCH, generator=seed)
loader = DataLoader(dataset, batch_size=BATCH, sampler=natural)
plain = train(loader, lambda logits, mask, group: base(logits, mask).mean())

# %% [markdown]
# ## The same, with Group DRO
#
# The sampler gives every group its share of every batch, and draws subjects evenly; the loss weighs the
# groups by how badly they fare. Its base is the loss of the plain loop: otherwise we would compare losses,
# not methods.

# %%
sampler = GroupBatchSampler(ids, BATCH, subjects=slices["subject"].tolist(), num_batches=STEPS)
dro = GroupDROLoss(len(groups), base, step_size=0.1)
fair = train(DataLoader(dataset, batch_sampler=sampler), dro)
dict(zip(groups.names, dro.group_weight.numpy().round(3).tolist(), strict=True))

# %% [markdown]
# ## Did it help?
#
# Dice of each test subject: the mean over labels and cases. People are the unit, not slices.

# %% alt="Box plots of the test subjects' Dice by group, of the plain loop and of Group DRO"
test, test_images, test_masks = load("test", "Ts")
people = test.drop_duplicates("subject")


def subject_dice(network):
    with torch.no_grad():
        predicted = network(test_images.flatten(0, 1)).argmax(1).reshape(test_masks.shape)
    scores = [dice(*pair, labels=(1, 2, 3)).mean() for pair in zip(predicted, test_masks, strict=True)]
    return test.assign(dice=scores).groupby("subject", sort=False)["dice"].mean().to_numpy()


figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
axes[0].set_ylabel("Dice of a subject")
for ax, (name, network) in zip(axes, {"Plain": plain, "Group DRO": fair}.items(), strict=True):
    values, group = subject_dice(network), groups.encode(people)
    medians, _ = by_group(values, group, len(groups))
    gap = fairness_gap(medians, reference=groups.index("White"))
    ax.boxplot([values[group == index] for index in range(len(groups))], tick_labels=groups.names)
    ax.set_title(f"{name}: gap {gap:.3f}")

# %% [markdown]
# The gap of the plain loop closes for the most part. How far differs from seed to seed and from one machine
# to the next: three people are few, the training is short, and 16 test subjects a group leave a wide
# interval ([limits](../limits.md)). White subjects may lose a little, since half of every batch is no
# longer theirs.
#
# ## To keep
#
# A checkpoint has to hold the group weights and the sampler's place as well. This one does.

# %%
parts = {"network": fair, "loss": dro, "sampler": sampler}
checkpoint = {name: part.state_dict() for name, part in parts.items()} | {"groups": groups.to_dict()}
torch.save(checkpoint, "fair.pt")
