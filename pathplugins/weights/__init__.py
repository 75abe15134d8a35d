"""One safe, lazy reader of weights: tensors only, never code, and errors that say what a file is.

`open_weights` takes safetensors, PyTorch's ``.pt``, ``.pth`` and ``.bin``, training checkpoints that hold Python
objects too, Hugging Face directories in shards and DeepSpeed's folders. torch is imported inside functions alone.
"""

from pathplugins.weights.mapping import Weights
from pathplugins.weights.reader import open_tensor, open_weights, read_weights
from pathplugins.weights.stored import Stored

__all__ = ["Stored", "Weights", "open_tensor", "open_weights", "read_weights"]
