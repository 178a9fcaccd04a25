"""Stylus: example-based music style transfer for ComfyUI."""

from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from .nodes.audio_mel import AudioToMel, LoadAudioMel, send_bundled
from .nodes.ddim_invert import DDIMInvert
from .nodes.inject_sampler import ApplyStyleToModel, InjectAttentionSampler
from .nodes.phase_decode import PhaseDecode
from .nodes.save_audio import SaveAudio
from .nodes.style_kv import BlendStyles, CaptureStyle
from .nodes.tiny_prior import LoadTiny

WEB_DIRECTORY = "web"


class StylusExtension(ComfyExtension):
    async def on_load(self) -> None:
        """Let the player of Load Audio → Mel hear the bundled recordings."""
        PromptServer.instance.routes.get("/stylus/recordings/{name}")(send_bundled)

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
