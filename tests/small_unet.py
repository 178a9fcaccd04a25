"""A diffusers UNet with Stable Diffusion's topology, random weights and a few channels, for tests of the method."""

import torch
from diffusers.models import UNet2DConditionModel

CONTEXT_WIDTH = 16


def small_sd_unet(
    seed: int = 0, prediction_type: str = "epsilon", linear_projection: bool = False
) -> UNet2DConditionModel:
    """Four levels, two residual blocks each, so that the decoder has self-attention in blocks 3 to 11. Weights in float64.

    Default initialisation leaves self-attention almost uniform and almost without effect; its weights are doubled here, so
    that what is injected moves the prediction by about half of its size.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=32,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(16, 16, 32, 32),
            layers_per_block=2,
            attention_head_dim=2,
            cross_attention_dim=CONTEXT_WIDTH,
            norm_num_groups=8,
            use_linear_projection=linear_projection,
        )
    unet = unet.double().eval().requires_grad_(False)
    for name, module in unet.named_modules():
        if name.endswith("attn1"):
            for projection in (module.to_q, module.to_k, module.to_v, module.to_out[0]):
                projection.weight.mul_(2)
    unet.register_to_config(prediction_type=prediction_type)
    return unet
