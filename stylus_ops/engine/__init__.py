"""The diffusers host: loading a model and evaluating it with the method's hook."""
