"""A GPU that is not there: shapes and devices of what would be computed on it, and what would wait for it.

PyTorch's fake tensors hold no values, and refuse to be mixed with those of another device.
"""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 7)


class FakeGpu(TorchDispatchMode):
    """Within it, tensors on `GPU` are fake, those in host memory real until something of the GPU's is copied there."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        """Copies that block until the GPU has done all its work, and numbers read from it."""
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __enter__(self) -> "FakeGpu":
        self._fake.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._fake.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {name: value for name, value in (kwargs or {}).items() if name != "pin_memory"}
        devices = {leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        devices |= {kwargs["device"]} if kwargs.get("device") else set()
        name = func._schema.name.removeprefix("aten::")
        if name == "_pin_memory":
            return args[0]
        if GPU not in devices:
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        blocks = (
            name in ("_to_copy", "copy_")
            and len(devices) > 1
            and not (kwargs.get("non_blocking") or args[2:3] == (True,))
        )
        if blocks or name == "_local_scalar_dense":
            self.waits.append(name)
        return 1 if name == "_local_scalar_dense" else func(*args, **kwargs)
