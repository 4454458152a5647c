"""The settings of a training: every number of the recipe, flat, with its meaning."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """What to train and how; the defaults are nnU-Net's (Isensee et al. 2021), the method is ERM.

    The method is two choices that do not depend on each other, the sampler and the loss; the names of
    losses and bases are the keys of `fairseg.training.methods`. `METHODS` there has those of the paper.

    >>> Settings(by=("sex",), epochs=2).steps
    250
    >>> Settings(by=("sex",), sampler="balanced")
    Traceback (most recent call last):
    ValueError: sampler must be natural or oversampling, got 'balanced'
    """

    by: tuple[str, ...]  # attributes whose cells are the groups
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # edges of numeric attributes

    # The method.
    sampler: Literal["natural", "oversampling"] = "natural"
    balance: float = 1.0  # of oversampling: 1 for equal shares, 0 for those of the cohort
    loss: str = "erm"
    base: str | None = None  # per-sample loss; default: Dice + CE for erm, CE for the DRO family
    reweight: Literal["none", "sum", "mean"] = "none"  # inverse-frequency weights, summing to 1 or of mean 1
    crop: Literal["none", "reference"] = "none"  # "reference": crops around the reference mask
    crop_margin: int = 5  # pixels beside the largest object of the training set

    # The data.
    spacing: tuple[float, float] | None = None  # mm in plane; default: the median of the training set
    patch_size: tuple[int, int] | None = None  # pixels; default: the median slice, at most 256
    batch_size: int = 12
    foreground: float = 1 / 3  # share of a batch whose patch must hold foreground, whatever the group
    augment: bool = True
    elastic: bool = False  # elastic deformation, which nnU-Net v2 leaves out
    validation: float = 0.2  # share of each group's subjects
    split_seed: int = 0

    # The network.
    features: int = 32  # channels at full resolution, doubled at each stage
    most_features: int = 512
    deep_supervision: bool = True

    # The optimiser.
    epochs: int = 1000
    steps: int = 250  # of an epoch
    learning_rate: float = 0.01  # falls to 0 by a power
    poly_power: float = 0.9
    momentum: float = 0.99  # Nesterov's
    weight_decay: float = 3e-5
    clip: float = 12.0  # norm of the gradient at most

    # The machine.
    seed: int = 0
    workers: int | None = (
        None  # processes that load and augment; default: on a GPU up to 8; no result depends on it
    )
    device: str = "auto"  # "cpu", "cuda", "cuda:1"
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"  # of the network's forward pass
    compile: bool = False  # torch.compile

    def __post_init__(self) -> None:
        for name, kinds in _CHOICES.items():
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name} must be {' or '.join(kinds)}, got {getattr(self, name)!r}")
        by: object = self.by  # callers without a type checker name one attribute as text
        if isinstance(by, str) or not by:
            raise ValueError(f"by must be the names of attributes, such as ('sex',), got {by!r}")
        for name in ("augment", "elastic", "deep_supervision", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if name == "workers" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {getattr(self, name)!r}")
        patch = self.patch_size
        if patch is not None and not (len(patch) == 2 and all(type(n) is int and n >= 8 for n in patch)):
            raise ValueError(f"patch_size must be two integers of at least 8, got {patch}")
        spacing = self.spacing
        if spacing is not None and not (len(spacing) == 2 and all(0 < mm < float("inf") for mm in spacing)):
            raise ValueError(f"spacing must be two positive numbers, got {spacing}")

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

        >>> settings = Settings(by=("sex", "age"), bins={"age": (50.0,)}, spacing=(1.5, 1.5))
        >>> Settings.from_dict(settings.to_dict()) == settings
        True
        """
        known = {one.name for one in fields(cls)}
        if strange := saved.keys() - known:
            raise ValueError(f"settings know nothing of {', '.join(sorted(strange))}")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
        values["bins"] = {name: tuple(edges) for name, edges in saved["bins"].items()}
        return cls(**values)  # type: ignore[arg-type]


_CHOICES: dict[str, tuple[str, ...]] = {
    "sampler": ("natural", "oversampling"),
    "reweight": ("none", "sum", "mean"),
    "crop": ("none", "reference"),
    "precision": ("auto", "float32", "float16", "bfloat16"),
}
_WHOLE = {
    "crop_margin": 0,
    "batch_size": 1,
    "split_seed": 0,
    "features": 1,
    "most_features": 1,
    "epochs": 1,
    "steps": 1,
    "seed": 0,
    "workers": 0,
}
_RANGES = (
    ("balance", 0.0, 1.0),
    ("foreground", 0.0, 1.0),
    ("validation", 0.0, 0.9),
    ("momentum", 0.0, 0.9999),
    ("learning_rate", 1e-12, 1e3),
    ("poly_power", 0.0, 10.0),
    ("weight_decay", 0.0, 1.0),
    ("clip", 1e-12, 1e12),
)
