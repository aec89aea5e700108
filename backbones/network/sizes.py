"""Geometry of a backbone: decoder stack, vision tower, and the text tower that goes with it."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """Geometry of the decoder stack.

    Attributes
    ----------
    hidden_size, intermediate_size : int
        Widths of the residual stream and of the gated MLP.
    n_layers, n_heads, n_kv_heads : int
    vocab_size : int
        Rows of ``embed_tokens`` and ``lm_head``.
    rms_norm_eps, rope_theta : float
    max_length : int
        Longest prompt in tokens; longer ones are cut from the right.
    qkv_bias : bool
        Whether queries, keys and values have biases.
    causal : bool
        Whether a row attends to earlier rows only.
    rotary : torch.dtype
        The rotary frequencies are rounded to it before they are used in float32.
    wide_rotary : bool
        Whether queries and keys are rotated in float32, and rounded once, in half precision too.
    attention : str
        What computes attention, a name of `saccade.backbones.network.attend.KERNELS`.
    """

    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 500000.0
    max_length: int = 16384
    qkv_bias: bool = False
    causal: bool = False
    rotary: torch.dtype = torch.float32
    wide_rotary: bool = False
    attention: str = "sdpa"

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.n_heads


@dataclass(frozen=True, slots=True)
class DecoderTraits:
    """What a family's configs leave to its code; see `LanguageConfig`.

    With `rounded_rotary` a model in bfloat16 has rotary frequencies rounded to that, as where the
    published code casts the whole model with its buffers.
    """

    qkv_bias: bool = False
    causal: bool = False
    rounded_rotary: bool = False
    wide_rotary: bool = False
    rms_norm_eps: float = 1e-5
    rope_theta: float = 500000.0
    max_length: int = 16384


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Geometry of the SigLIP vision tower; `n_layers` counts the layers that run."""

    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    image_size: int
    patch_size: int
    layer_norm_eps: float = 1e-6

    @property
    def side(self) -> int:
        """Patches along one side of a view."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class TextConfig:
    """Geometry of the text tower that was trained with a SigLIP vision tower.

    Attributes
    ----------
    projection_size : int
        Entries of a question's embedding.
    length : int
        Tokens that it reads at once.
    pad_id : int
        Token that fills a shorter question up.
    """

    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    vocab_size: int
    projection_size: int
    length: int
    pad_id: int
    layer_norm_eps: float = 1e-6


SO400M = TowerConfig(1152, 4304, 26, 16, image_size=384, patch_size=14)
"""SigLIP(2) so400m patch14 384 as the published families use it: 26 of its 27 layers run."""
