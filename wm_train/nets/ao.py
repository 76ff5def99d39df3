"""What we take of torchao, imported in silence and without triton.

Its kernels for GPUs are none of ours, and triton complains when Python ends. Import this module, not torchao, and only
where QAT begins: it takes as long as torch itself.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """No module called triton, and no warnings: of its absence, and of torchao's own compiled parts."""
    disabled, handler = logging.root.manager.disable, logging.NullHandler()
    absent = "triton" not in sys.modules
    logging.disable(logging.WARNING)
    logging.root.addHandler(handler)
    if absent:
        sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["triton"]
        logging.root.removeHandler(handler)
        logging.disable(disabled)


with quietly():
    from torchao.core.config import AOBaseConfig
    from torchao.quantization import (
        FqnToConfig,
        Int4WeightOnlyConfig,
        Int8DynamicActivationInt8WeightConfig,
        Int8DynamicActivationIntxWeightConfig,
        Int8StaticActivationInt8WeightConfig,
        Int8Tensor,
        Int8WeightOnlyConfig,
        IntxUnpackedToInt8Tensor,
        IntxWeightOnlyConfig,
        quantize_,
    )
    from torchao.quantization.granularity import PerAxis, PerGroup, PerRow, PerTensor
    from torchao.quantization.observer import AffineQuantizedMinMaxObserver, AffineQuantizedMSEObserver
    from torchao.quantization.qat import QATConfig
    from torchao.quantization.quant_primitives import MappingType
    from torchao.quantization.quantize_.workflows import (
        QuantizeTensorToInt8Kwargs,
    )
    from torchao.quantization.transform_module import register_quantize_module_handler

__all__ = [
    "AOBaseConfig",
    "AffineQuantizedMSEObserver",
    "AffineQuantizedMinMaxObserver",
    "FqnToConfig",
    "Int4WeightOnlyConfig",
    "Int8DynamicActivationInt8WeightConfig",
    "Int8DynamicActivationIntxWeightConfig",
    "Int8StaticActivationInt8WeightConfig",
    "Int8Tensor",
    "Int8WeightOnlyConfig",
    "IntxUnpackedToInt8Tensor",
    "IntxWeightOnlyConfig",
    "MappingType",
    "PerAxis",
    "PerGroup",
    "PerRow",
    "PerTensor",
    "QATConfig",
    "QuantizeTensorToInt8Kwargs",
    "quantize_",
    "register_quantize_module_handler",
]
