"""`wmq parity --target er` of an export to BOLT: matches delegated to a real rollup, against the interpreter."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_cli import output
from wm_cli.opening import executor_windows
from wm_cli.verbs.matches import built_bolt

if TYPE_CHECKING:
    from wm_live.localnet.servers import Localnet

#: Keys of figures about matches on a rollup.
ROLLUP_MATCH_KEYS = "fps frame_ms"


def compare_on_rollup(folder: Path, dataset: Path, matches: int, length: int) -> dict[str, Any]:
    """So many matches of so many frames, made and delegated on a localnet of their own: every byte of every component
    after every frame, and what the base chain gets back."""
    from wm_live.bolt.match_parity import Compared, compare
    from wm_live.bolt.own_match import own_localnet, own_match
    from wm_train.measure.window import Window

    export, found = built_bolt(folder), Compared()
    windows, inputs = executor_windows(export.net, dataset, matches, length)

    async def run(net: "Localnet") -> None:
        with output.progress_bar("upload", None) as (bar, task):
            shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
            async with own_match(net, export, shown) as match:
                bar.reset(task, description="parity", total=matches * length)
                for number in range(matches):
                    one = slice(number, number + 1)
                    window = Window(
                        windows.frames[one], windows.inputs[one], windows.following[one], windows.session[one]
                    )
                    await match.make(number)
                    await match.delegate()
                    await compare(match, found, window, inputs[:, number], lambda: bar.advance(task))

    with own_localnet(export) as net:
        asyncio.run(run(net))
    return {"manifest_sha256": export.identity["manifest_sha256"], "frames": 0, **found.to_json()}


def print_rollup_cost(figures: Mapping[str, Any]) -> None:
    """Tell a person what a frame costs there."""
    output.out.print(
        f"a frame: {figures['frame_cu']:,} compute units in one transaction, confirmed after "
        f"{figures['frame_ms']['p50']:.1f} ms: {figures['fps']:.0f} a second one by one",
        soft_wrap=True,
    )
