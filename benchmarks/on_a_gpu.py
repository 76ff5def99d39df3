"""All that wants a GPU to be measured, in one go of less than ten minutes, into one JSON object.

    python benchmarks/on_a_gpu.py > gpu.json
    python benchmarks/on_a_gpu.py --device cpu --quick        # that it works, on any machine, in a minute or two

Needs this checkout with its extras `train` and `dev`, and no games: they are made up, as speed does not ask what is in
them. A table goes to standard error. What is measured:

tests     those of devices, QAT's integers against the QNet's among them
training  frames a second of a Mamba-2 of 1.2 million parameters, through all of `wmq train`'s loop, at the config's 32
          lanes of 8 frames and at more; beside one thread of the processor
scan      its recurrence alone, forward and backward: in chunks, frame by frame, and over windows of ten frames that
          predict one each; the first also as a share of what the device does in products of large matrices
resume    runs asked to end by SIGTERM and gone on with: how many come to the undisturbed one's bytes
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
CONFIG = ROOT / "experiments" / "melee-1.2m.yaml"
#: Lanes and frames of a training step.
STEPS = ((32, 8), (256, 8), (256, 64))
#: Lanes and frames of a scan; frames of a window.
SCAN, QUICK_SCAN, WINDOW = (256, 512), (8, 64), 10


@dataclass(frozen=True)
class Asked:
    """device: that is measured; quick: sizes that a processor gets through."""

    device: str
    quick: bool
    place: Path

    def config(self, device: str, **train: Any) -> Path:
        """The experiment on a device, with other keys of `train`."""
        import yaml

        read = yaml.safe_load(CONFIG.read_text())
        read["train"] |= {"device": device, **train}
        path = self.place / f"{device}-{'-'.join(map(str, train.values()))}.yaml"
        path.write_text(yaml.safe_dump(read))
        return path


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, from the checkout; what it prints."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def tests() -> dict[str, int]:
    """How many tests of devices passed, failed and were skipped."""
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/wm_train/nets/test_device.py")
    return {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}


def training(asked: Asked, dataset: Path) -> list[dict[str, Any]]:
    """Frames a second by device, lanes and frames of a step."""
    steps = 10 if asked.quick else 100
    rows = [("cpu", *STEPS[0]), *((asked.device, *shape) for shape in STEPS[: 1 if asked.quick else None])]
    found = []
    for device, lanes, chunk in rows:
        config = asked.config(device, lanes=lanes, chunk=chunk)
        arguments = ("--device", device, "--steps", steps, "--once")
        done = python("benchmarks/training_speed.py", dataset, config, *arguments)
        speed = statistics.median(json.loads(done.stdout)["speeds"]) if not done.returncode else None
        found.append({"device": device, "lanes": lanes, "chunk": chunk, "frames_a_second": speed,
                      "error": done.stderr[-400:] if done.returncode else None})  # fmt: skip
    return found


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Of one call, after two that warm up; of the processor where that computes, whatever else it does."""
    import torch

    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    for _ in range(2):
        work()
    wait()
    clock = time.process_time if device == "cpu" else time.perf_counter
    began, times = clock(), 0
    while not times or clock() - began < 2:
        work()
        wait()
        times += 1
    return (clock() - began) / times


def scans(asked: Asked) -> dict[str, dict[str, float]]:
    """Frames a second of each way to compute the recurrence; of the chunked one, its share of what the device does in
    products of large matrices."""
    import torch

    from wm_train.config import Mamba2Config, load_config
    from wm_train.nets.mamba2 import SCAN_CHUNK, scan, scan_ref
    from wm_train.nets.matmul import use_tensor_cores

    model = load_config(CONFIG).model
    assert isinstance(model, Mamba2Config)
    heads, width, cells = model.n_heads, model.headdim, model.d_state
    lanes, frames = QUICK_SCAN if asked.quick else SCAN
    torch.set_num_threads(1)  # where that is the processor
    use_tensor_cores(exact=False)  # as in training in float

    def speed(how: Any, lanes: int, frames: int) -> float:
        """Frames a second, forward and backward."""
        shapes = ((lanes, frames, heads, width), (lanes, frames, heads), (heads,), *((lanes, frames, cells),) * 2)
        with torch.device(asked.device):
            x, dt, A, B_, C = (torch.rand(shape).requires_grad_() for shape in shapes)
            more = torch.ones(heads), torch.zeros(lanes, heads, width, cells), torch.zeros(lanes, frames).bool()
            return lanes * frames / seconds_of(lambda: how(x, dt, -A, B_, C, *more)[0].sum().backward(), asked.device)

    chunked = speed(scan, lanes, frames)
    # Products of a frame and head: within its chunk, from the state before and into it; three times with gradients.
    products = 3 * 2 * heads * (SCAN_CHUNK * width + 2 * cells * width) + 3 * 2 * SCAN_CHUNK * cells
    size = 512 if asked.quick else 8192
    square = torch.rand(size, size, device=asked.device)
    peak = 2 * size**3 / seconds_of(lambda: square @ square, asked.device)
    return {
        "chunked": {"frames_a_second": chunked, "share_of_peak": chunked * products / peak},
        "frame by frame": {"frames_a_second": speed(scan_ref, lanes, min(frames, 64))},
        "windows": {"frames_a_second": speed(scan, lanes * frames // WINDOW, WINDOW) / WINDOW},
        "products of matrices": {"tflops": peak / 1e12},
    }


def resumed(asked: Asked, dataset: Path) -> dict[str, Any]:
    """Whether runs that were stopped and gone on with come to the same bytes."""
    steps, trials = (6, 1) if asked.quick else (60, 3)
    config = asked.config(asked.device, lanes=32, chunk=8)
    limits = ("--steps", steps, "--trials", trials, "--terminate")
    done = python("benchmarks/kill_and_resume.py", dataset, config, *limits)
    return {"all": not done.returncode, "said": done.stdout.strip().splitlines()[-1:], "error": done.stderr[-400:]}


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{figures['machine']['device']}, {figures['machine']['processor']}, torch {figures['machine']['torch']}"]
    lines.append("tests: " + ", ".join(f"{count} {word}" for word, count in figures["tests"].items()))
    for row in figures["training"]:
        speed = row["frames_a_second"]
        shown = f"{speed:,.0f} frames/s, {speed / figures['training'][0]['frames_a_second']:.2f}" if speed else "failed"
        lines.append(f"training, {row['device']}, {row['lanes']} lanes of {row['chunk']}: {shown}")
    for name, row in figures["scan"].items():
        lines.append(f"scan, {name}: " + ", ".join(f"{value:,.4g} {what}" for what, value in row.items()))
    lines.append(
        f"resumed to the same bytes: {'yes' if figures['resume']['all'] else 'NO'} {figures['resume']['said']}"
    )
    return "\n".join([*lines, f"{figures['seconds']:.0f} s in all"])


@click.command()
@click.option("--device", default="cuda", show_default=True, type=click.Choice(["cuda", "mps", "cpu"]))
@click.option("--quick", is_flag=True, help="Small sizes: whether all of it works.")
def main(device: str, quick: bool) -> None:
    """Print a table, and one JSON object on standard output."""
    from tests.factories import write_dataset
    from wm_train.config import load_config
    from wm_train.fit.record import machine
    from wm_train.games.encoded import encode
    from wm_train.nets.device import find_device, named

    began, found = time.monotonic(), find_device(device, exact=False)
    with tempfile.TemporaryDirectory() as folder:
        asked, dataset = Asked(device, quick, Path(folder)), Path(folder, "dataset")
        dataset.mkdir()
        write_dataset(dataset, [600] * 40 if quick else [1_000] * 300)
        encode(dataset, load_config(CONFIG).model.world.encoding)
        figures: dict[str, Any] = {
            "machine": machine(1, named(found)),
            "tests": tests(),
            "training": training(asked, dataset),
            "scan": scans(asked),
            "resume": resumed(asked, dataset),
        }
    figures["seconds"] = time.monotonic() - began
    print(table(figures), file=sys.stderr)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
