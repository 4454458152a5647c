"""The names that nnU-Net's architectures import; see the package."""

from typing import Any, NoReturn


class _Absent:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("this timm is a stub for tests: install the real one")


def _absent(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("this timm is a stub for tests: install the real one")


DropPath = GluMlp = Mlp = PatchDropout = RotaryEmbeddingCat = SwiGLU = _Absent
apply_keep_indices_nlc = apply_rot_embed_cat = trunc_normal_ = use_fused_attn = _absent
