"""The bundled recordings where the browser's audio player looks for them."""

import urllib.error

import pytest

from stylus_ops.tiny import RECORDINGS

from .comfy_server import ComfyServer


def test_every_bundled_recording_can_be_heard(comfy: ComfyServer) -> None:
    options = comfy.get("/object_info/StylusLoadAudioMel")["StylusLoadAudioMel"]["input"]["required"]["audio"][1]
    bundled = [name.removeprefix("stylus/") for name in options["options"] if name.startswith("stylus/")]
    assert bundled == sorted(path.name for path in RECORDINGS.iterdir())
    for name in bundled:
        assert comfy.read(f"/api/stylus/recordings/{name}") == (RECORDINGS / name).read_bytes()


@pytest.mark.parametrize("name", ["", "gone.flac", "../prior.safetensors", "..%2Fprior.safetensors", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_served(comfy: ComfyServer, name: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        comfy.read(f"/api/stylus/recordings/{name}")
    assert refusal.value.code == 404
