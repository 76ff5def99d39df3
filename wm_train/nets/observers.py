"""What one code of an activation is worth, from its values on a calibration batch: `train.calibration` names which."""

from collections.abc import Callable

from torch import Tensor

from wm_train.errors import WmTrainError

#: (name, values, most) -> what one code of `values`, -most..most, is worth. WmTrainError if all values are zero.
Observer = Callable[[str, Tensor, int], float]

#: Shares of the largest value that `least_squares` tries as the largest code's.
SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15)
#: Values that it looks at, about.
SAMPLE = 1_000_000


def _peak(name: str, values: Tensor) -> float:
    """The largest magnitude. WmTrainError if that is zero: whatever comes behind is a constant then, and no unit
    suits."""
    peak = float(values.abs().max())
    if not peak > 0:
        raise WmTrainError(
            f"calibration: {name} is 0 on every training frame looked at, expected other values too: the layer died of "
            "large steps, or all its weights are 0; train anew with a lower train.learning_rate, or another train.seed"
        )
    return peak


def min_max(name: str, values: Tensor, most: int) -> float:
    """The largest magnitude is the largest code: nothing is cut off."""
    return _peak(name, values) / most


def least_squares(name: str, values: Tensor, most: int) -> float:
    """The quantum with the least squared error: rare large values are cut off for finer steps of all others."""
    peak = _peak(name, values)
    sample = values.flatten()[:: max(1, values.numel() // SAMPLE)]
    units = [peak / most * shrink for shrink in SHRINKS]
    errors = [float(((sample / u).round().clamp(-most, most) * u - sample).square().mean()) for u in units]
    return units[errors.index(min(errors))]


#: By the names that config.CALIBRATIONS has.
OBSERVERS: dict[str, Observer] = {"mse": least_squares, "min-max": min_max}
