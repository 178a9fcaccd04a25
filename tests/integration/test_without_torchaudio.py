"""A ComfyUI without torchaudio, which later ones no longer install."""

from pathlib import Path

import soundfile

from .comfy_server import ComfyInstall, ComfyServer
from .test_bad_input import audio_graph


def test_audio_goes_through_where_torchaudio_is_not_installed(
    install: ComfyInstall, models: dict[str, Path], tmp_path: Path
) -> None:
    """ComfyUI up to 0.33 imports it without need, so that empty modules stand in; nothing can be had of them."""
    (tmp_path / "modules" / "torchaudio").mkdir(parents=True)
    for name in ("__init__", "functional", "transforms"):
        (tmp_path / "modules" / "torchaudio" / f"{name}.py").touch()
    with ComfyServer(install, tmp_path, models["sd15-small"].parents[1]) as comfy:
        graph, saved = audio_graph(samples=48000, sample_rate=48000)
        sound, rate = soundfile.read(comfy.files(comfy.finish(graph), saved, "audio")[0])
        assert (len(sound), rate) == (48000, 48000)
        assert sound.any()
