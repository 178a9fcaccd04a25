"""How alike two sounds are to a CLAP model (Wu et al. 2023), whose weights the user has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from ..audio.backend import resample
from ..engine.source import downloaded, find

HUB_FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
LEVEL = 0.1  # root mean square of what the model hears


class Clap:
    """A CLAP model of transformers, audio side, from a local folder or a Hub id, which is downloaded.

    Raises ValueError if `name` is neither, or the Hub can't be reached or has no such model; OSError if the folder has
    no weights.
    """

    def __init__(self, name: str):
        from transformers import ClapFeatureExtractor, ClapModel

        kind, folder = find(name)
        if kind == "hub":
            folder = downloaded(name, HUB_FILES)
        elif kind != "folder":
            raise ValueError(f"{name} is no CLAP model: name its folder, or a Hub id such as owner/model")
        self.extractor = ClapFeatureExtractor.from_pretrained(folder)
        self.model = ClapModel.from_pretrained(folder, use_safetensors=True).eval()

    @torch.no_grad()
    def embed(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Unit vector [D] of a waveform [C, T], whatever its level.

        Channels are averaged, and so are the parts of what is longer than the model hears at once (the extractor itself would
        take a random one).
        """
        rate, longest = self.extractor.sampling_rate, self.extractor.nb_max_samples
        samples = resample(waveform.mean(0, keepdim=True), sample_rate, rate)[0]
        samples = samples * (LEVEL / samples.square().mean().sqrt().clamp(min=1e-8))
        parts = [part.numpy() for part in samples.split(longest)]
        inputs = self.extractor(parts, sampling_rate=rate, return_tensors="pt", padding="repeatpad")
        features = self.model.get_audio_features(**inputs)
        # transformers 5 returns the encoder's whole output, transformers 4 the vectors alone.
        features = getattr(features, "pooler_output", features)
        return normalize(features.mean(0), dim=0)


def clap_similarities(content: Tensor, style: Tensor, output: Tensor) -> dict[str, float]:
    """Cosines of the output to content and style, and of the direction from content to output with that from content to style
    (StyleGAN-NADA's directional similarity, Gal et al. 2022, which the Stylus paper reports). Embeddings [D]."""
    compared = {
        "clap_content": (output, content),
        "clap_style": (output, style),
        "clap_direction": (output - content, style - content),
    }
    return {column: float(cosine_similarity(*vectors, dim=0)) for column, vectors in compared.items()}
