"""Stylus: example-based music style transfer for ComfyUI."""

from pathlib import Path

from aiohttp import web
from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from .nodes.audio_folder import LoadAudioFolder
from .nodes.audio_mel import AudioToMel, LoadAudioMel, send_bundled
from .nodes.compare import Compare
from .nodes.ddim_invert import DDIMInvert
from .nodes.inject_sampler import ApplyStyleToModel, InjectAttentionSampler
from .nodes.match_tone import MatchTone
from .nodes.overview import send_overview
from .nodes.phase_decode import PhaseDecode
from .nodes.queued import remember
from .nodes.save_audio import SaveAudio
from .nodes.schedule import StylusSchedule
from .nodes.sound_mask import MaskFromSound
from .nodes.style_kv import BlendStyles, CaptureStyle
from .nodes.style_library import LoadStyle, SaveStyle, register_folder
from .nodes.tiny_prior import LoadTiny

WEB_DIRECTORY = "web"
PACK = Path(__file__).parent


async def send_help(request: web.Request) -> web.FileResponse:
    """A node's page, which is the same in every language."""
    return web.FileResponse(PACK / WEB_DIRECTORY / "docs" / f"{request.match_info['node']}.md")


class StylusExtension(ComfyExtension):
    async def on_load(self) -> None:
        """Let the browser hear the bundled recordings, see the recording that is chosen and find the help; know queued graphs and the
        folder of styles."""
        routes = PromptServer.instance.routes
        routes.get("/stylus/recordings/{name}")(send_bundled)
        routes.get("/stylus/overview")(send_overview)
        routes.get(f"/extensions/{PACK.name}/docs/{{node:Stylus[A-Za-z]+}}/{{language}}.md")(send_help)
        PromptServer.instance.add_on_prompt_handler(remember)
        register_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadTiny,
            LoadAudioMel,
            LoadAudioFolder,
            AudioToMel,
            MatchTone,
            StylusSchedule,
            DDIMInvert,
            CaptureStyle,
            SaveStyle,
            LoadStyle,
            BlendStyles,
            InjectAttentionSampler,
            ApplyStyleToModel,
            MaskFromSound,
            PhaseDecode,
            SaveAudio,
            Compare,
        ]


async def comfy_entrypoint() -> StylusExtension:
    return StylusExtension()
