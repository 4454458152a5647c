"""The grid of Lee et al. (2025): which methods, on which images, and the sweeps of Figs. S1 to S3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from fairseg.io.sentences import did_you_mean
from fairseg.training.methods import METHODS
from fairseg.training.settings import Settings

# What a network sees: all of an image, the crop around the reference mask, or the crop around the prediction
# of another network that was trained with the same method on whole images.
IMAGES = {"full": "full images", "crop": "crops by the reference", "cascade": "cascaded crops"}
MORE = "more"  # replaces the images in the keys of arms whose method is not in the paper


@dataclass(frozen=True)
class Choice:
    """A method: what it changes in the settings that all arms share, and what it is compared with.

    An entry of `CHOICES` is all that an arm needs. One that the paper's grid does not have is the arm
    `more/NAME`, and runs only where a pattern names it.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    control: str = "baseline"  # the method without what is new in this one: same base, same steps
    grid: tuple[str, ...] = ()  # keys of `IMAGES`: where it is in the paper's grid
    start: str = ""  # another method: it trains half of the steps, and this one goes on from its network
    images: str = "full"  # key of `IMAGES`: what it sees where it is not in that grid
    per_group: bool = False  # a network for each group, trained and tested on its subjects alone
    scored_by: str = ""  # another method: its network of half of the steps chooses cases to draw more often


_ALL = tuple(IMAGES)

# CVaR needs a loss of each sample.
_BALANCED_SAMPLE = {"sampler": "oversampling", "loss": "balanced", "base": "dice_ce_sample"}

# Methods of Lee et al. (2025). Group DRO runs on cross-entropy alone, so its effect shows only in comparison
# with the same method on cross-entropy (section 6.3 leaves open how much of the difference is the loss).
CHOICES: dict[str, Choice] = {
    "baseline": Choice("Baseline", grid=_ALL),
    "oversampling": Choice("Oversampling", METHODS["oversampling"], grid=_ALL),
    "reweighting": Choice("Reweighting", METHODS["reweighting"], grid=_ALL),
    "group_dro": Choice("Group DRO", METHODS["group_dro"], "baseline_ce", grid=_ALL),
    "oversampling+group_dro": Choice(
        "Oversampling + Group DRO", METHODS["oversampling+group_dro"], "oversampling_ce", grid=("full",)
    ),
    "reweighting+group_dro": Choice(
        "Group DRO + Reweighting", METHODS["reweighting+group_dro"], "reweighting_ce", grid=("full",)
    ),
    "oversampling+reweighting": Choice(
        "Oversampling + Reweighting", METHODS["oversampling+reweighting"], "oversampling", grid=("full",)
    ),
    "baseline_ce": Choice("Baseline, CE", {"base": "ce"}, grid=_ALL),
    "oversampling_ce": Choice(
        "Oversampling, CE", {"sampler": "oversampling", "base": "ce"}, "baseline_ce", grid=("full",)
    ),
    "reweighting_ce": Choice(
        "Reweighting, CE", {"reweight": "sum", "base": "ce"}, "baseline_ce", grid=("full",)
    ),
    # Beyond the paper.
    "balanced_sample": Choice("Oversampling, Dice of a sample + CE", _BALANCED_SAMPLE, "oversampling"),
    "within_group_cvar": Choice(
        "CVaR within groups", {**_BALANCED_SAMPLE, "within_group": "cvar"}, "balanced_sample"
    ),
    "fine_tuning": Choice("Balanced fine-tuning", METHODS["oversampling"], "oversampling", start="baseline"),
    "last_layer": Choice(
        "Last layer retrained", {"sampler": "oversampling", "freeze": "all-but-head"}, start="baseline"
    ),
    "group_dro_start": Choice(
        "Group DRO from a trained network",
        METHODS["oversampling+group_dro"],
        "oversampling+group_dro",
        start="baseline_ce",
    ),
    "weight_average": Choice("Weights averaged over the last quarter", {"average": 0.25}),
    "amplitude_mix": Choice("Amplitudes mixed in half of the patches", {"amplitude_mix": 0.5}),
    "multitask_head": Choice("Attribute head, multi-task", {"attribute_head": "multitask"}),
    "adversarial_head": Choice("Attribute head, adversarial", {"attribute_head": "adversarial"}),
    "group_networks": Choice("One network for each group", per_group=True),
    "group_networks_start": Choice(
        "One network for each group, from a common start", start="baseline", per_group=True
    ),
    "just_train_twice": Choice("Just train twice", scored_by="baseline"),
    "standardize_image": Choice(
        "Crops standardised over the whole image", {"standardize": "image"}, images="crop"
    ),
    "standardize_organ": Choice(
        "Crops standardised by the organ's box", {"standardize": "organ"}, images="crop"
    ),
}

SINGLE = ("baseline", "oversampling", "reweighting", "group_dro")
PAIRS = ("oversampling+group_dro", "reweighting+group_dro", "oversampling+reweighting")

# Images -> methods: Tables 4 and 5; 6; 7; and the controls.
GRID = {images: tuple(name for name, one in CHOICES.items() if images in one.grid) for images in IMAGES}

BEYOND = {name: one for name, one in CHOICES.items() if not one.grid}


def key_of(method: str, images: str = "full") -> str:
    """Return the key of a method's arm.

    >>> key_of("oversampling", "crop")
    'crop/oversampling'
    """
    return f"{images if CHOICES[method].grid else MORE}/{method}"


# Sweep -> what it changes: Fig. S1; and Fig. S2, on full images and cascaded.
SWEEPS = {
    "minority": "number of minority subjects, baseline",
    "balance": "level of oversampling, full images",
    "balance_cascade": "level of oversampling, cascaded crops",
}
BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Preset:
    """The length and the number of an experiment's trainings."""

    settings: dict[str, Any]  # those that differ from the defaults
    ce_factor: int  # cross-entropy alone learns more slowly: its arms take so many times the epochs
    mirror: bool  # average predictions over mirrorings, which takes four times as long
    seeds: int  # trainings of each arm of the grid
    sweep_seeds: int  # trainings of each point of a sweep


# Two cores and three quarters of an hour on the phantom. The gap shrinks as training goes on, so the number
# of steps belongs to every result.
_QUICK = {
    **{"features": 8, "most_features": 128, "batch_size": 4, "epochs": 2, "steps": 200},
    **{"validation": 0.1, "learning_rate": 0.1, "momentum": 0.9, "schedule": "step"},
}
PRESETS = {
    "quick": Preset(_QUICK, ce_factor=2, mirror=False, seeds=3, sweep_seeds=1),
    "paper": Preset({}, ce_factor=1, mirror=True, seeds=3, sweep_seeds=3),  # nnU-Net's recipe
}

# Settings that an experiment gives to its arms itself, or has options of its own for.
NOT_SHARED = (
    *("by", "bins", "sampler", "loss", "base", "reweight", "within_group", "attribute_head", "crop"),
    *("standardize", "freeze", "seed", "split_seed", "device", "workers"),
)


@dataclass(frozen=True, order=True)
class Arm:
    """One cell of the grid: a method on some kind of images, with a seed; or one point of a sweep."""

    seed: int  # of all that is random in the training
    images: str  # key of `IMAGES`
    method: str  # key of `CHOICES`
    sweep: str = ""  # key of `SWEEPS`, or "" in the grid
    level: float = 0.0  # of the sweep

    @property
    def key(self) -> str:
        """The name of the arm on the command line and in tables, the same for all seeds.

        >>> Arm(0, "full", "baseline").key, Arm(0, "full", "oversampling", "balance", 0.25).key
        ('full/baseline', 'balance/0.25')
        """
        return f"{self.sweep}/{self.level:g}" if self.sweep else key_of(self.method, self.images)

    def first(self, recipe: Settings, ce_factor: int = 1) -> tuple[str, Settings] | None:
        """Return the method and the settings of the training that must be done before, if there is one."""
        choice = CHOICES[self.method]
        if not (method := choice.start or choice.scored_by):
            return None
        settings = replace(self, method=method).settings(recipe, ce_factor)
        return method, settings.with_(epochs=max(1, settings.epochs // 2))

    def settings(self, recipe: Settings, ce_factor: int = 1) -> Settings:
        """Return the settings of the arm's training; on cross-entropy it has `ce_factor` times the epochs.

        With a network to start from, it has the epochs that the training of that network leaves.
        """
        changes: dict[str, Any] = {"seed": self.seed}
        changes["crop"] = "none" if self.images == "full" else "reference"
        if self.sweep.startswith("balance"):
            changes["balance"] = self.level
        settings = recipe.with_(**CHOICES[self.method].settings, **changes)
        epochs = settings.epochs * (ce_factor if settings.sample_loss == "ce" else 1)
        return settings.with_(epochs=max(1, epochs - epochs // 2) if CHOICES[self.method].start else epochs)


def plan_arms(only: Sequence[str], *, seeds: int, sweep_seeds: int, minority: Sequence[int]) -> list[Arm]:
    """Return the arms of an experiment, seed by seed, so that an early stop leaves whole tables.

    Args:
        only: patterns of their keys, such as "full/*" and "minority/*"; none for all of the paper.
        seeds: how many, of the grid.
        sweep_seeds: how many, of the sweeps.
        minority: numbers of minority subjects to train with.

    Raises:
        ValueError: a pattern fits no arm.

    >>> arms = plan_arms(["full/baseline", "balance/*"], seeds=1, sweep_seeds=1, minority=[2, 8])
    >>> [arm.key for arm in arms]
    ['full/baseline', 'balance/0', 'balance/0.25', 'balance/0.5', 'balance/0.75', 'balance/1']
    """
    grid = [(images, method) for images, methods in GRID.items() for method in methods]
    beyond = [(one.images, method) for method, one in BEYOND.items()] if only else []
    arms = [Arm(seed, *cell) for seed in range(seeds) for cell in (*grid, *beyond)]
    for seed in range(sweep_seeds):
        arms += [Arm(seed, "full", "baseline", "minority", float(number)) for number in minority]
        arms += [Arm(seed, "full", "oversampling", "balance", level) for level in BALANCES]
        arms += [Arm(seed, "cascade", "oversampling", "balance_cascade", level) for level in BALANCES]
    keys = dict.fromkeys(arm.key for arm in arms)
    chosen: set[str] = set()
    for pattern in only or ("*",):
        fitting = {key for key in keys if fnmatchcase(key, pattern)}
        if not fitting:
            hint = did_you_mean(pattern, keys)
            raise ValueError(f"arms: {pattern!r} fits none of {', '.join(keys)}{hint}")
        chosen |= fitting
    return [arm for arm in arms if arm.key in chosen]
