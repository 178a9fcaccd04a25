"""Stylus: example-based music style transfer for ComfyUI."""

from comfy_api.latest import ComfyExtension, io

from .nodes.audio_mel import AudioToMel, LoadAudioMel
from .nodes.ddim_invert import DDIMInvert
from .nodes.inject_sampler import ApplyStyleToModel, InjectAttentionSampler
from .nodes.phase_decode import PhaseDecode
from .nodes.save_audio import SaveAudio
from .nodes.style_kv import BlendStyles, CaptureStyle
from .nodes.tiny_prior import LoadTiny

WEB_DIRECTORY = "web"


class StylusExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadTiny,
            LoadAudioMel,
            AudioToMel,
            DDIMInvert,
            CaptureStyle,
            BlendStyles,
            InjectAttentionSampler,
            ApplyStyleToModel,
            PhaseDecode,
            SaveAudio,
        ]


async def comfy_entrypoint() -> StylusExtension:
    return StylusExtension()
