"""The only rooms that reach into `comfy.*`: a MODEL as the core's host.

Of `comfy` other nodes use the type `ModelPatcher` and the options that ComfyUI was started with (`comfy.cli_args`).
"""
