"""The bundled prior's autoencoder: 8x down, 4 channels, around a linear codec of 8x8 patches.

A principal component analysis of patches already explains most of a spectrogram; two small residual networks that work at
latent resolution add the rest. Both are fully convolutional and deterministic.
"""

from __future__ import annotations

from torch import Tensor, nn

PATCH = 8
CHANNELS = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int):
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.layers = nn.Sequential(nn.SiLU(), first, nn.SiLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Codec(nn.Module):
    """A 1x1 linear map plus a residual network."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int):
        super().__init__()
        self.linear = nn.Conv2d(inputs, outputs, 1)
        self.network = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1),
            *(ResidualBlock(width) for _ in range(depth)),
            nn.SiLU(),
            nn.Conv2d(width, outputs, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.network(x)


class TinyAutoencoder(nn.Module):
    """Images in -1..1 to latents of unit variance and back.

    Shape: images `[B, 3, H, W]`, H and W multiples of 8 (spectrograms are grey: the mean of the channels is coded)
    -> latents `[B, 4, H/8, W/8]`.
    """

    def __init__(self, encoder_width: int, encoder_depth: int, decoder_width: int, decoder_depth: int):
        super().__init__()
        self.encoder = Codec(PATCH * PATCH, CHANNELS, encoder_width, encoder_depth)
        self.decoder = Codec(CHANNELS, PATCH * PATCH, decoder_width, decoder_depth)
        self.to_patches = nn.PixelUnshuffle(PATCH)
        self.from_patches = nn.PixelShuffle(PATCH)

    def encode(self, images: Tensor) -> Tensor:
        return self.encoder(self.to_patches(images.mean(1, keepdim=True)))

    def decode(self, latents: Tensor) -> Tensor:
        """Images in about -1..1, not clamped."""
        return self.from_patches(self.decoder(latents)).expand(-1, 3, -1, -1)
