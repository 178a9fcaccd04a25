"""The prior's UNet as it is trained: its injected self-attention reads other rows of the batch, or recorded features."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stylus_ops.dials import Steering
from stylus_ops.tiny.unet import Attention, TinyUNet

INJECTED = [(block, layer) for block in (2, 3) for layer in range(3)]
"""Decoder blocks 6 to 11, as levels of the decoder and their layers."""


class Recorded(NamedTuple):
    """Normed hidden states [P, tokens, C] of each injected layer, in half precision: what the pack keeps of an inversion."""

    content: tuple[Tensor, ...]
    style: tuple[Tensor, ...]
    gamma: Tensor  # [P] share of the content's query in the sample's (Stylus Eq. 1).


class Reading(NamedTuple):
    """What injected attention reads and leaves; by default its own row."""

    sources: Tensor | None = None  # [B] the row whose keys and values each row of the batch takes
    record: list[Tensor] | None = None  # filled with the hidden states [B, tokens, C] of each injected layer
    recorded: Recorded | None = None
    """Read instead of the own row, as in a transfer: content and style, guided by the default alpha (Eq. 3)."""


OWN = Reading()


class WindowUNet(TinyUNet):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.reading = OWN
        for number, (block, layer) in enumerate(INJECTED):
            attention: Any = self.get_submodule(f"up_blocks.{block}.attentions.{layer}.transformer_blocks.0.attn1")
            attention.set_processor(partial(self._attend, number))

    def forward(
        self, x: Tensor, timestep: Tensor | int, context: Tensor, return_dict: bool = False, reading: Reading = OWN
    ) -> tuple[Tensor]:
        self.reading = reading
        return super().forward(x, timestep, context, return_dict)

    def _attend(self, number: int, attention: Attention, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (attention.heads, -1)).transpose(1, 2)

        def read(queries: Tensor, states: Tensor) -> Tensor:
            q, k, v = (layer(x) for layer, x in zip(layers, (queries, states, states), strict=True))
            return scaled_dot_product_attention(heads(q), heads(k), heads(v))

        layers = attention.to_q, attention.to_k, attention.to_v
        sources, record, recorded = self.reading
        if record is not None:
            record.append(hidden.half())
        if recorded is not None:
            content, style = (states[number].to(hidden.dtype) for states in (recorded.content, recorded.style))
            queries = hidden.lerp(content, recorded.gamma[:, None, None].to(hidden.dtype))
            result = read(queries, content).lerp(read(queries, style), Steering.alpha)
        else:
            result = read(hidden, hidden if sources is None else hidden[sources])
        return attention.to_out[0](result.transpose(1, 2).flatten(2))
