"""Weights from elsewhere: a network's state_dict in a file, in floats or as torchao rounds it to small integers.

    quantize_(net, Int8WeightOnlyConfig())
    torch.save(net.state_dict(), "int8.pt")                   # wmq train --start RUN --weights int8.pt

A stranger may have written it, and a pickle is a program. So torch is given a zip that was packed anew, of nothing
compressed, and a pickle that names tensors, those of torch and the two classes of torchao's that hold small integers.
"""

import hashlib
import io
import pickletools
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from wm_train.config import ModelConfig
from wm_train.errors import WmTrainError
from wm_train.fit.resume import DAMAGED
from wm_train.reading import Artifact, one_line, parse_arrays
from wm_train.shapes import array_shapes

#: Bytes of a file besides its numbers, of which none has more than 8; and of the pickle in it.
_MORE_BYTES = 4 << 20
_PICKLE_BYTES = 2 << 20
_ZIP = b"PK\x03\x04"
_ZIP_DAMAGED = (*DAMAGED, BadZipFile)
#: What the pickle of tensors names, those of torchao's classes aside.
_PLAIN = re.compile(
    r"collections\.OrderedDict|torch\.(Size|device)|torch\.serialization\._get_layout"
    r"|torch\._utils\._rebuild_(tensor_v2|parameter|wrapper_subclass)|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.(Double|Float|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
    r"|torch\.(bfloat16|float16|float32|float64|bool|u?int(8|16|32|64)|int[1-7])"
)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_SAVE = "save the network's weights alone: torch.save(net.state_dict(), FILE)"
_OTHER_START = "give the run that they are of as --start"


@dataclass(frozen=True)
class Weights:
    """arrays: a network's parameters and `gain` by dotted name, float32, finite; sha256: of the file that had them."""

    arrays: Mapping[str, NDArray[np.float32]]
    sha256: str


def read_weights(path: Path, model: ModelConfig) -> Weights:
    """What a file of torch.save, or one of safetensors with floats, holds for a network of a config.

    Names may all have one prefix, as wrappers of networks put before them (`module.`). WmTrainError, which says what is
    wrong with the file or another in it, unless it has exactly the network's arrays.
    """
    shapes = array_shapes(model)
    about = Artifact(WmTrainError, _SAVE, 8 * sum(map(prod, shapes.values())) + _MORE_BYTES, linked=True)
    raw = about.read(path)
    found = _without_prefix(_saved(path, raw) if raw.startswith(_ZIP) else _floats(path, raw, about))
    _check_names(path, found, shapes)
    arrays = {name: _array(path, name, found[name], shape) for name, shape in shapes.items()}
    return Weights(arrays, hashlib.sha256(raw).hexdigest())


def _refused(path: Path, why: object, again: str = _SAVE) -> WmTrainError:
    return WmTrainError(f"{path}: {one_line(why)}; {again}")


def _without_prefix(found: Mapping[str, Any]) -> dict[str, Any]:
    """By the names, without the words that all of them begin with."""
    shared = takewhile(lambda words: len(set(words)) == 1, zip(*(name.split(".") for name in found), strict=False))
    prefix = "".join(f"{words[0]}." for words in shared)
    return {name.removeprefix(prefix): value for name, value in found.items()}


def _check_names(path: Path, found: Mapping[str, Any], shapes: Mapping[str, Any]) -> None:
    lacking, foreign = (sorted(one.keys() - other.keys()) for one, other in ((shapes, found), (found, shapes)))
    if lacking or foreign:
        parts = [f"{word} {_some(names)}" for word, names in (("lacks", lacking), ("has", foreign)) if names]
        why = f"is of another network: it {' and '.join(parts)}, expected the {len(shapes)} arrays of --start's network"
        raise _refused(path, why, f"{_OTHER_START}, or {_SAVE}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]:.80}{more}"


# ------------------------------------------------------------------------------------------------------------ the file


def _floats(path: Path, raw: bytes, about: Artifact) -> dict[str, Any]:
    """Tensors by name of a file of safetensors."""
    try:
        arrays = parse_arrays(raw, path, about)
    except WmTrainError:
        raise _refused(path, "is neither a file of torch.save nor one of safetensors with floats") from None
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _saved(path: Path, raw: bytes) -> dict[str, Any]:
    """What a file of torch.save holds by name."""
    try:
        pickled, packed = _packed_anew(raw)
        named = _names(pickled)
    except _ZIP_DAMAGED as error:
        raise _refused(path, f"expected a file of torch.save, got a zip that it did not write: {error}") from None
    classes = _torchao_classes() if any(name.startswith("torchao.") for name in named) else {}
    if others := sorted(name for name in named if name not in classes and not _PLAIN.fullmatch(name)):
        expected = "expected tensors alone, of torch or of torchao's Int8Tensor and IntxUnpackedToInt8Tensor"
        raise _refused(path, f"it holds {_some(others)}, {expected}")
    try:
        with _nothing_safe_but(list(classes.values())), warnings.catch_warnings(action="ignore"):
            data = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    except _ZIP_DAMAGED as error:
        # Its own words are many, and say how to run the code of a pickle.
        raise _refused(path, f"torch cannot read it ({type(error).__name__})") from None
    if not isinstance(data, dict) or not data or not all(isinstance(name, str) for name in data):
        raise _refused(path, f"it holds one {type(data).__name__}, expected the tensors of a network by their names")
    return data


def _packed_anew(raw: bytes) -> tuple[bytes, bytes]:
    """(the pickle, a zip of it and of what it refers to). ValueError, or an error of zipfile."""
    out = io.BytesIO()
    with ZipFile(io.BytesIO(raw)) as given, ZipFile(out, "w") as packed:
        folders = [name.removesuffix("data.pkl") for name in given.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(folders) != 1:
            raise ValueError(f"it has {len(folders)} pickles, expected one")
        inner = re.compile(re.escape(folders[0]) + r"(data\.pkl|byteorder|version|data/[0-9]+)")
        entries = {info.filename: info for info in given.infolist() if inner.fullmatch(info.filename)}
        if any(entry.compress_type != ZIP_STORED for entry in entries.values()):
            raise ValueError("its entries are compressed")
        if (size := sum(entry.file_size for entry in entries.values())) > len(raw):
            raise ValueError(f"its entries overlap: they have {size} bytes, and it has {len(raw)}")
        for name, info in entries.items():
            packed.writestr(name, given.read(info))
        pickled = given.read(f"{folders[0]}data.pkl")
    return pickled, out.getvalue()


def _names(pickled: bytes) -> set[str]:
    """What a pickle names of the modules of Python. ValueError."""
    if len(pickled) > _PICKLE_BYTES:
        raise ValueError(f"its pickle has {len(pickled)} bytes, expected at most {_PICKLE_BYTES}")
    return {str(named).replace(" ", ".") for code, named, _ in pickletools.genops(pickled) if code.name == "GLOBAL"}


def _torchao_classes() -> dict[str, type]:
    """Classes by the names that a pickle has for them: of tensors with small integers, and of what is kept in those."""
    from wm_train.nets import ao  # takes as long as torch

    classes = (ao.Int8Tensor, ao.QuantizeTensorToInt8Kwargs, ao.MappingType, ao.PerRow, ao.PerTensor,
               ao.IntxUnpackedToInt8Tensor)  # fmt: skip
    return {f"{one.__module__}.{one.__qualname__}": one for one in classes}


@contextmanager
def _nothing_safe_but(classes: list[Any]) -> Iterator[None]:
    """torch.load makes objects of these classes, and not of the many that torchao vouches for when it is imported."""
    before = get_safe_globals()
    clear_safe_globals()
    add_safe_globals(classes)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


# --------------------------------------------------------------------------------------------------------- the tensors


def _array(path: Path, name: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One array; WmTrainError unless it has a shape, and is of finite floats or of torchao's small integers."""
    floats = value if type(value) in (Tensor, nn.Parameter) else _dequantized(path, name, value, shape)
    assert isinstance(floats, Tensor)
    if tuple(floats.shape) != shape or not _is_plain(floats, _FLOATS):
        why = f"{name} is {_told(floats)}, expected {shape} of floats"
        raise _refused(path, why, f"{_OTHER_START}, or {_SAVE}")
    array: NDArray[np.float32] = np.array(floats.detach().float().numpy())
    if wrong := np.size(array) - int(np.isfinite(array).sum()):
        raise _refused(path, f"{name} has {wrong} of {array.size} numbers that are not finite float32", "train it anew")
    return array


def _dequantized(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """The floats that a tensor of torchao's stands for. Only its parts are believed, and each after a look."""
    from wm_train.nets import ao

    if type(value) not in (ao.Int8Tensor, ao.IntxUnpackedToInt8Tensor):
        raise _refused(path, f"{name} is of type {type(value).__name__}, expected a tensor")
    parts = vars(value)
    whole, scale, zero, block = (parts.get(part) for part in ("qdata", "scale", "zero_point", "block_size"))
    if parts.get("act_pre_scale") is not None:
        raise _refused(path, f"{name} is for inputs that are scaled first (act_pre_scale), which wmq's are not",
                       "quantize without it")  # fmt: skip
    if not _is_plain(whole, (torch.int8,)) or tuple(whole.shape) != shape:
        raise _refused(path, f"{name} is {_told(whole)} in torchao's tensor, expected {shape} of int8", _OTHER_START)
    blocks = _blocks(block, shape)
    whole_zero = zero is None or (_is_plain(zero, (torch.int8, *_FLOATS)) and tuple(zero.shape) == blocks)
    if not _is_plain(scale, _FLOATS) or tuple(scale.shape) != blocks or not whole_zero:
        raise _refused(
            path, f"{name} has scales {_told(scale)} and zero points {_told(zero)}, which do not fit {shape}"
        )
    made = ao.Int8Tensor(whole, scale.float(), list(block), torch.float32, zero_point=zero)
    floats: Tensor = made.dequantize()
    return floats


def _blocks(block: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """How many blocks of that size a shape has along each axis, if it consists of such."""
    if not isinstance(block, list | tuple) or len(block) != len(shape):
        return None
    fits = all(type(size) is int and size > 0 and n % size == 0 for n, size in zip(shape, block, strict=True))
    return tuple(n // size for n, size in zip(shape, block, strict=True)) if fits else None


def _is_plain(value: Any, dtypes: tuple[torch.dtype, ...]) -> bool:
    """Whether a value is a tensor in memory, of one of these types of numbers."""
    plain = type(value) in (Tensor, nn.Parameter) and value.layout is torch.strided and value.device.type == "cpu"
    return plain and value.dtype in dtypes


def _told(value: object) -> str:
    if not isinstance(value, Tensor):
        return "missing" if value is None else f"of type {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
