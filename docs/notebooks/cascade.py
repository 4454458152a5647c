# %% [markdown]
# # A cascade of crops
#
# Where groups differ mostly outside the organ, a network that does not see the outside cannot be misled by
# it (Lee et al. 2025, section 4.7). One network finds the heart on the whole image, another segments the
# crop around it; `Cascade` makes them one network, from whole images to whole masks.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
import torch
from monai.networks.nets import UNet

from fairseg.crop import Box, Cascade, box_error, crop, crop_size
from fairseg.datasets import write_phantom
from fairseg.losses import DiceCELoss
from fairseg.metrics import dice

write_phantom("phantom", subjects={"White": 30}, test_subjects=8)


def stacks(folder):
    files = sorted(Path("phantom", folder).glob("*.nii.gz"))
    return np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files])


def standardised(images):
    axes = tuple(range(1, images.ndim))
    return (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)


images, masks = stacks("imagesTr").astype(np.float32), stacks("labelsTr")
test_images, test_masks = stacks("imagesTs").astype(np.float32), stacks("labelsTs")

# %% [markdown]
# ## How large must a crop be?
#
# The largest heart of the training set, plus five pixels on every side; here rounded up to a multiple of 4,
# since the network halves it twice. All slices of a case share one crop.

# %%
size = tuple(-(-length // 4) * 4 for length in crop_size(list(masks), margin=5, ndim=2))
boxes = [Box.around(mask, ndim=2).resized(size) for mask in masks]
crops = np.stack([crop(image, box, fill=image.mean()) for image, box in zip(images, boxes, strict=True)])
crop_masks = np.stack([crop(mask, box) for mask, box in zip(masks, boxes, strict=True)])
gone = 1 - np.prod(size) / np.prod(images.shape[2:])
print(f"{images.shape[2:]} -> {size}: {gone:.0%} of the pixels are gone")

# %% [markdown]
# ## Two networks
#
# The same network and steps, once on whole images and once on crops.


# %%
def train(images, masks, steps):
    torch.manual_seed(0)
    x = torch.from_numpy(standardised(images)).reshape(-1, 1, *images.shape[2:])
    y = torch.from_numpy(masks).reshape(-1, *masks.shape[2:]).long()
    network = UNet(2, 1, 4, channels=(16, 32, 64), strides=(2, 2), num_res_units=1)
    optimizer, loss = torch.optim.Adam(network.parameters(), lr=0.003), DiceCELoss()
    for _ in range(steps):
        chosen = torch.randint(len(x), (12,))
        value = loss(network(x[chosen]), y[chosen]).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return network.eval()


whole, close = train(images, masks, steps=80), train(crops, crop_masks, steps=80)


def segment(part):
    return close((part - part.mean()) / part.std())  # a crop knows nothing of the brightness outside


cascade = Cascade(whole, segment, size, shared=True)

# %% [markdown]
# ## On new images
#
# The slices of a case are one batch and share one crop. Where the first network finds nothing, the crop
# lies in the middle of the image, and that is counted.

# %% alt="An image with the crop, the cascade's mask, and the reference"
rows, found, true = [], [], []
for image, mask in zip(standardised(test_images), test_masks, strict=True):
    batch = torch.from_numpy(image)[:, None]
    with torch.no_grad():
        guesses = [network(batch).argmax(1).numpy() for network in (whole, cascade)]
    rows.append([dice(guess, mask, labels=(1, 2, 3)).mean() for guess in guesses])
    if cascade.found[0] is not None:
        found.append(cascade.found[0])
        true.append(Box.around(mask, ndim=2))
median = np.median(rows, axis=0)
print(f"median Dice of {len(rows)} cases: whole images {median[0]:.3f}, cascade {median[1]:.3f}")
print(f"nothing found in {cascade.num_fallbacks} of {cascade.num_images} images")
print(f"sizes of the crops are off by {box_error(found, true).round(1)} percent (y, x), as in Table S4")
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
axes[0].imshow(image[1], cmap="gray")
box = cascade.boxes[0]
axes[0].add_patch(
    plt.Rectangle(box.start[::-1], *box.shape[::-1], fill=False, edgecolor="tab:orange", linewidth=2)
)
for ax, shown, title in zip(axes, (None, guesses[1], mask), ("Crop", "Cascade", "Reference"), strict=True):
    ax.set_title(title)
    ax.axis("off")
    if shown is not None:
        ax.imshow(shown[1], cmap="viridis", interpolation="nearest")

# %% [markdown]
# ## To keep
#
# The size and both networks are the cascade. With fairseg's loop it is `fairseg train --crop reference` and
# `fairseg predict --cascade RUN`; see [crops and the cascade](../crop.md).

# %%
torch.save({"whole": whole.state_dict(), "close": close.state_dict(), "size": size}, "cascade.pt")
