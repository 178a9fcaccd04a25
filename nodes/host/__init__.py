"""The only rooms that touch `comfy.*`: a MODEL as the core's host."""
