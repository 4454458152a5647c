"""The features of a layer of any network, taken by a forward hook."""

from typing import Any

from torch import Tensor, nn

from fairseg.io.sentences import brief


class HookedFeatures:
    """The output of a layer of a network in its last forward pass, with its graph.

    The layer is hooked at once; the end of a `with` block, or `remove`, takes the hook off again. A copied or
    pickled network is not hooked. Works under DistributedDataParallel, and under torch.compile if the network
    is hooked before it runs for the first time. If a layer runs several times in a forward pass, the last
    output counts.

    Args:
        network: any network; also one in DistributedDataParallel, or compiled.
        layer: one of its modules, or its dotted name, as in `network.named_modules()`.

    Raises:
        ValueError: the network has no such layer; the layer has not run since the last `take`, or gave no
            tensor; or the network runs in `nn.DataParallel` on several GPUs.

    >>> import torch
    >>> network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    >>> with HookedFeatures(network, "1") as features:
    ...     logits = network(torch.zeros(4, 1, 16, 16))
    ...     features.take().shape
    torch.Size([4, 8, 14, 14])
    """

    def __init__(self, network: nn.Module, layer: str | nn.Module) -> None:
        self.name, module = _find(network, layer)
        self._features: Any = None
        self._handle: Any = module.register_forward_hook(self)

    def take(self) -> Tensor:
        """Return the features of the last forward pass, (B, C, *S) of most layers, and forget them."""
        features, self._features = self._features, None
        if features is None:
            raise ValueError(
                f"there are no features of layer {self.name!r}: run the network before each take; one that"
                " was compiled, copied or unpickled must be hooked first"
            )
        if not isinstance(features, Tensor):
            raise ValueError(f"layer {self.name!r} must give a tensor, got {type(features).__name__}")
        return features

    def remove(self) -> None:
        """Take the hook off the network."""
        if self._handle is not None:
            self._handle.remove()
        self._features = None

    def __enter__(self) -> "HookedFeatures":
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Keep the output of the layer; torch calls this."""
        if getattr(module, "_is_replica", False):
            raise ValueError(
                f"layer {self.name!r} runs in copies on several GPUs, each with a part of the batch:"
                " use DistributedDataParallel in place of nn.DataParallel"
            )
        if self._handle is not None:
            self._features = output

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Copy and pickle as a hook that keeps nothing: networks are copied with their hooks."""
        return _unhooked, (self.name,)


def _unhooked(name: str) -> HookedFeatures:
    features = HookedFeatures.__new__(HookedFeatures)
    features.name, features._features, features._handle = name, None, None
    return features


def _find(network: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    while isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
        network = network.module
    network = getattr(network, "_orig_mod", network)  # of torch.compile
    modules = dict(network.named_modules(remove_duplicate=False))
    for name, module in modules.items():
        if module is layer or (name and name == layer):
            return name or "(the whole network)", module
    if isinstance(layer, nn.Module):
        raise ValueError(f"layer must be a module of the network, this {type(layer).__name__} is none")
    names = ", ".join(name for name in modules if name and "." not in name)
    raise ValueError(
        f"layer must be the name of a module of the network, such as {names}; got {brief(layer)}"
    )
