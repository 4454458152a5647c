"""The settings of a training: every number of the recipe, flat, with its meaning and its range.

`fairseg train` has an option for each setting, made from its field here (`fairseg.cli.options`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import inf
from typing import Any, Literal, get_args, get_origin, get_type_hints

# The keys of the tables in `fairseg.training.methods`.
LossName = Literal[
    "erm", "balanced", "group_dro", "worst_group", "cvar", "chi_square", "vrex", "fair_error_bound", "pareto"
]
BaseName = Literal["dice_ce", "ce", "dice", "dice_ce_sample"]


# ruff: noqa: RUF009  (what `_setting` returns is a field)
def _setting(default: Any, text: str, low: float = 0, high: float = inf) -> Any:
    """Return a field with its meaning, which is also the help of the command's option, and its range."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """The settings of a training; the defaults are nnU-Net's (Isensee et al. 2021), the method is ERM.

    The method is two choices that do not depend on each other, the sampler and the loss;
    `fairseg.training.methods.METHODS` has those of the paper.

    >>> Settings(by=("sex",), epochs=2).steps
    250
    >>> Settings(by=("sex",), sampler="balanced")
    Traceback (most recent call last):
    ValueError: sampler must be natural or oversampling, got 'balanced'
    """

    by: tuple[str, ...]  # attributes whose cells are the groups; without any, all subjects are one
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # edges of numeric attributes

    # The method.
    sampler: Literal["natural", "oversampling"] = _setting("natural", "How batches are drawn.")
    balance: float = _setting(1.0, "With oversampling: 1 for equal shares, 0 for the cohort's.", 0.0, 1.0)
    loss: LossName = _setting("erm", "Objective of the groups.")
    base: BaseName | None = _setting(None, "Loss of a sample. Default: dice_ce for erm, else ce.")
    reweight: Literal["none", "sum", "mean", "samples"] = _setting(
        "none", "Inverse-frequency weights that sum to 1 (Eq. 2), or have mean 1 over groups or over samples."
    )
    attribute_head: Literal["none", "multitask", "adversarial"] = _setting(
        "none", "A classifier of the group on the network's features, with or against the network."
    )
    head_weight: float = _setting(0.1, "Weight of its term in the loss.", 0.0, 1e6)
    head_layer: str = _setting("bottleneck", "Name of the network's layer whose features it sees.")
    within_group: Literal["mean", "cvar"] = _setting(
        "mean", "What a group's loss is: the mean of its samples in the batch, or that of the worst of them."
    )
    alpha: float = _setting(0.5, "With cvar: the share of them that counts as the worst.", 1e-3, 1.0)
    worst_share: float = _setting(
        0.2, "With case weights: the share of training cases that is drawn more often.", 1e-6, 1.0
    )
    upweight: float = _setting(5.0, "With case weights: how many times as often.", 1.0, 1e6)
    freeze: Literal["none", "encoder", "all-but-head"] = _setting(
        "none", "Parts that stay as another run has left them; needs its network to start from."
    )
    crop: Literal["none", "reference"] = _setting(
        "none", "Train on crops around the reference masks, all of one size."
    )
    crop_margin: int = _setting(5, "Pixels on each side of the largest object of the training set.")

    standardize: Literal["image", "crop", "organ"] = _setting(
        "crop", "By which pixels a crop is standardised: its image's, its own, or the organ's box."
    )

    # The data.
    spacing: tuple[float, ...] | tuple[str, ...] | None = _setting(
        None,
        "Pixel size in mm, rows first, of images whose files state none, such as PNG; or the columns of the "
        "table that have it.",
    )
    target_spacing: tuple[float, float] | None = _setting(
        None, "Pixel size in plane that images are resampled to. Default: the median."
    )
    patch_size: tuple[int, int] | None = _setting(
        None, "Pixels. Default: the median slice, at most 256 pixels a side.", 8
    )
    batch_size: int = _setting(12, "Patches in a batch.", 1)
    foreground: float = _setting(1 / 3, "Share of a batch whose patches must hold foreground.", 0.0, 1.0)
    augment: bool = _setting(True, "Augment as nnU-Net does.")
    mirror: Literal["none", "x", "y", "xy"] = _setting(
        "xy", "Axes of the image that training and prediction mirror; y where left and right are structures."
    )
    elastic: bool = _setting(False, "Add elastic deformation, which nnU-Net v2 leaves out.")
    amplitude_mix: float = _setting(
        0.0, "Share of patches that get some of the appearance of another image (Xu et al. 2021).", 0.0, 1.0
    )
    validation: float = _setting(0.2, "Share of each group's subjects that is held out.", 0.0, 0.9)
    split_seed: int = _setting(0, "Seed of the choice of held-out subjects.")

    # The network.
    features: int = _setting(32, "Channels at full resolution, doubled at each stage.", 1)
    most_features: int = _setting(512, "Channels of a stage at most.", 1)
    deep_supervision: bool = _setting(True, "Train the outputs at lower resolutions too.")

    # The optimiser.
    epochs: int = _setting(1000, "Epochs; each ends with validation and a checkpoint.", 1)
    steps: int = _setting(250, "Steps in an epoch.", 1)
    learning_rate: float = _setting(0.01, "Learning rate at the start.", 1e-12, 1e3)
    poly_power: float = _setting(0.9, "Power by which the learning rate falls to 0.", 0.0, 10.0)
    schedule: Literal["epoch", "step"] = _setting(
        "epoch", "When it falls: after each epoch, as in nnU-Net, or each step, for runs of few epochs."
    )
    momentum: float = _setting(
        0.99, "Nesterov momentum; 0.9 with a higher learning rate suits short runs.", 0.0, 0.9999
    )
    weight_decay: float = _setting(3e-5, "Weight decay.", 0.0, 1.0)
    clip: float = _setting(12.0, "Norm of the gradient at most.", 1e-12, 1e12)
    average: float = _setting(
        0.0, "Use the mean weights of this last share of the steps; 0 for the last ones.", 0.0, 1.0
    )
    averaging: Literal["mean", "ema"] = _setting(
        "mean", "Whether all steps of that share count alike, or fade with it as their time (ema)."
    )
    keep: Literal["last", "best", "best-mean", "best-worst-group", "distance-to-optimum"] = _setting(
        "last",
        "Epoch whose weights are used, by the Dice of held-out subjects in groups of five or more; best is "
        "best-mean.",
    )

    # The machine.
    seed: int = _setting(0, "Seed of everything else that is random.")
    workers: int | None = _setting(
        None, "Processes that prepare, load and augment. Default: none on the CPU, up to 8 on a GPU."
    )
    device: str = _setting("auto", "auto, cpu, cuda, cuda:N or mps (Apple).")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = _setting(
        "auto", "Type of the network's forward pass; auto: float32 on the CPU, half on a GPU."
    )
    compile: bool = _setting(False, "Compile the network with torch.compile.")

    def __post_init__(self) -> None:
        by: object = self.by  # callers without a type checker name one attribute as text
        if isinstance(by, str) or not isinstance(by, Sequence):
            raise ValueError(f"by must be the names of attributes, such as ('sex',), got {by!r}")
        if self.keep == "best":  # as nnU-Net calls it
            object.__setattr__(self, "keep", "best-mean")
        for one in fields(self):
            if one.metadata:
                _check(one.name, getattr(self, one.name), **one.metadata)
        if by:
            return
        for name, plain in _WITHOUT_GROUPS.items():
            if (value := getattr(self, name)) != plain:
                raise ValueError(
                    f"by must name the attributes whose levels are the groups, for {name} {value}"
                )

    @property
    def sample_loss(self) -> BaseName:
        """The loss of a sample: `base`, or by default what the paper takes with the objective."""
        return self.base or ("dice_ce" if self.loss == "erm" else "ce")

    @property
    def mirrored_axes(self) -> tuple[int, ...]:
        """The axes of a slice (y, x) along which patches are mirrored in training, and so in prediction."""
        return tuple(axis for axis, name in enumerate("yx") if self.augment and name in self.mirror)

    def with_(self, **changes: Any) -> "Settings":
        """Return the settings with some of them changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, for checkpoints and JSON."""
        plain = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()} | {
            "bins": {name: list(edges) for name, edges in self.bins.items()}
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Settings":
        """Rebuild settings from `to_dict`.

        >>> settings = Settings(by=("sex", "age"), bins={"age": (50.0,)}, target_spacing=(1.5, 1.5))
        >>> Settings.from_dict(settings.to_dict()) == settings
        True
        """
        if unknown := saved.keys() - {one.name for one in fields(cls)}:
            raise ValueError(f"settings must be those of this version, got {', '.join(sorted(unknown))}")
        try:
            values = {
                name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()
            }
            values["bins"] = {name: tuple(edges) for name, edges in saved["bins"].items()}
            values.setdefault("schedule", "step")  # runs from before there was a choice
            if "target_spacing" not in values:  # it was called spacing
                values |= {"target_spacing": values.get("spacing"), "spacing": None}
            return cls(**values)  # type: ignore[arg-type]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"settings must be those of this version: {error}") from None


# Values of the settings about groups that need no groups.
_WITHOUT_GROUPS = {"sampler": "natural", "loss": "erm", "reweight": "none", "attribute_head": "none"}
MACHINE = ("workers", "device", "compile")  # settings on which no result depends


def type_of(name: str) -> tuple[Any, bool]:
    """Return the type of a setting and whether it may be `None`.

    >>> type_of("target_spacing"), type_of("epochs")
    ((tuple[float, float], True), (<class 'int'>, False))
    """
    hint = _HINTS[name]
    optional = type(None) in get_args(hint)
    return (get_args(hint)[0] if optional else hint), optional


_HINTS = get_type_hints(Settings)
_WHOLE = 2**32  # what seeds and counts stay below


def _check(name: str, value: Any, *, low: float, high: float, help: str) -> None:  # noqa: A002
    """Raise a ValueError unless a value has the type and lies in the range of its setting."""
    kind, optional = type_of(name)
    if optional and value is None:
        return
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if get_origin(kind) is Literal:
        fits, expected = value in get_args(kind), " or ".join(get_args(kind))
    elif kind is bool:
        fits, expected = isinstance(value, bool), "True or False"
    elif kind is int:
        fits, expected = is_integer and low <= value < _WHOLE, f"an integer of at least {low}, below {_WHOLE}"
    elif kind is float:
        fits = (is_integer or isinstance(value, float)) and low <= value <= high and value < inf
        expected = f"a number from {low:g} to {high:g}"
    elif kind == tuple[int, int]:
        fits = len(value) == 2 and all(type(length) is int and length >= low for length in value)
        expected = f"two integers of at least {low}"
    elif name == "spacing":
        several = isinstance(value, tuple) and len(value) > 0
        fits = several and (
            all(isinstance(one, str) for one in value)
            or all(isinstance(one, int | float) and 0 < one < inf for one in value)
        )
        expected = "a tuple of positive numbers, or of names of columns"
    elif kind == tuple[float, float]:
        fits, expected = len(value) == 2 and all(0 < mm < inf for mm in value), "two positive numbers"
    else:
        return
    if not fits:
        raise ValueError(f"{name} must be {expected}, got {value!r}")
