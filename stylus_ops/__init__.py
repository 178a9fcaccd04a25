"""Music style transfer by attention injection: the whole method, without ComfyUI.

docs/architecture.md names every file and says what may import what. The write pass is inversion, which records a clip's features;
the read pass is sampling, which reads them.
"""
