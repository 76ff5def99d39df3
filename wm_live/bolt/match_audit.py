"""Audit of a match by anybody, from its log and the chain: what session logs have, without a hash tree.

Every frame is computed again and compared with the log. A chain keeps of a match its components as the last frame has
left them: every byte of those is compared with what the interpreter makes of the log at that frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.component_parity import difference
from wm_export.bolt.components import Values
from wm_export.bolt.match_state import MatchCodec
from wm_export.bolt.program_addresses import WORLD, entity_address, world_address
from wm_export.lower.memory import NOTHING
from wm_live.bolt.match_accounts import MatchState, read_match
from wm_live.chain.rpc import Rpc
from wm_live.errors import OtherExportError, WmLiveError
from wm_live.judge.audit import BASE_CHAIN, ROLLUP, UNASKED, Audit, Comparison, computed
from wm_live.session.log import Log
from wm_live.session.recompute import Progress, Replay, WrongFrame

#: Status of a match whose components a rollup has, and of one that has come back from there.
PLAYED, ENDED = "started", "ended"
#: Of the base chain, while a rollup has the match; and what nobody but the log says.
NOTHING_YET = "has nothing of it yet: name the rollup's node with --rollup, or end the match with wmq session end"
UNPROVED = "these inputs were played: a chain keeps the last frame of a match, and no hash tree of those before it"


@dataclass(frozen=True)
class MatchAudit(Audit):
    """What was found of a match: an Audit without roots; nothing of a match is disputed."""

    def _disputed(self, options: str) -> list[str]:
        return []

    def _where(self) -> str:
        if self.status == UNASKED:
            return f"match {self.session}: no node was asked"
        return f"match {self.session}: {f'delegated to {self.validator}' if self.validator else 'on the base chain'}"

    def _uncovered(self) -> list[str]:
        if self.status == UNASKED or not self.uncommitted or not all(it.ok for it in self.comparisons):
            return []
        return [f"the last {self.uncommitted:,} frames of the log are not on the base chain, until the match has ended"]


def check_match_log(export: BoltExport, log: Log) -> Pubkey:
    """The entity that a log is of. WmLiveError unless it is of a match at the place that it names, whose window begins
    as matches do; OtherExportError for another export's."""
    about, world = log.about, export.net.world
    manifest = export.identity["manifest_sha256"]
    if about.manifest_sha256 != manifest:
        raise OtherExportError(f"{log.folder}", about.manifest_sha256, export.folder, manifest)
    if about.match is None:
        raise WmLiveError(f"{log.folder}: the log of a session, expected that of a match; was it changed?")
    place = about.match
    expected = {
        "program": str(WORLD),
        "model": str(world_address(place.world)),
        "session": str(entity_address(place.world, place.entity)),
        "slots": world.encoding.slots,
        "game": world.game.name,
        "empty_memory": "",
    }
    for name, value in expected.items():
        if (got := getattr(about, name)) != value:
            raise WmLiveError(f"{log.folder}: {name} is {got!r}, expected {value!r}")
    first = log.records[: about.slots]
    if any(record != first[-1] for record in first) or any(first[-1][: log.codec.inputs_size]):
        raise WmLiveError(
            f"{log.folder}: a match begins with one Frame and nothing pressed, and the log with another window"
        )
    try:
        Pubkey.from_string(place.authority)
    except ValueError as error:
        raise WmLiveError(f"{log.folder}: authority {place.authority!r}: {error}") from None
    return entity_address(place.world, place.entity)


async def audit_match(
    base: Rpc, rollup: Rpc | None, export: BoltExport, log: Log, progress: Progress = lambda *_: None
) -> MatchAudit:
    """Compute every frame of the log again, and compare the components that base chain and rollup, if given, have with
    what the interpreter makes of the log. WmLiveError for what says nothing: a log of something else, no such match."""
    entity = check_match_log(export, log)
    found = await read_match(base, export, entity)
    there = [] if found.validator else [(BASE_CHAIN, found.state)]
    if rollup is not None:
        there.append((ROLLUP, (await read_match(rollup, export, entity)).state))
    wrong, seconds = computed(export.net, NOTHING, log.about.ids, log, progress)
    held = [Comparison(chain, state.frame_number, "", _difference(export, log, state, wrong)) for chain, state in there]
    return MatchAudit(
        str(entity),
        PLAYED if found.validator else ENDED,
        str(found.validator or ""),
        log.frames,
        seconds,
        tuple(wrong),
        tuple(held or [Comparison(BASE_CHAIN, 0, "", NOTHING_YET)]),
        unproved=(UNPROVED,),
    )


def audit_match_offline(export: BoltExport, log: Log, progress: Progress = lambda *_: None) -> MatchAudit:
    """The same without asking any node: the log against the model."""
    entity = check_match_log(export, log)
    wrong, seconds = computed(export.net, NOTHING, log.about.ids, log, progress)
    return MatchAudit(str(entity), UNASKED, "", log.frames, seconds, tuple(wrong), (), unproved=(UNPROVED,))


def _difference(export: BoltExport, log: Log, state: MatchState, wrong: Sequence[WrongFrame]) -> str:
    """How components differ from what a log leads to, at their frame number; empty if in no byte."""
    number = state.frame_number
    if state.turn:
        return f"is within frame {number:,}; verify again"
    if number == 0:
        return "no frame of it has been played there"
    if number > log.frames:
        return f"is at frame {number:,}, the log ends at frame {log.frames:,}: a newer log is needed"
    first = next((it.frame for it in wrong if it.frame < number), None)
    if first is not None:
        return f"is at frame {number:,}, and was not compared: frame {first:,} of the log is wrong"
    assert log.about.match is not None
    authority = bytes(Pubkey.from_string(log.about.match.authority))
    found = difference("", number, export.sliced, state.accounts, _expected(export, log, number), authority)
    if found is None:
        return ""
    differ = f"byte {found.index} of its account is {found.got}, the model gives {found.expected}"
    return f"component {found.tensor} is not what the log leads to at frame {number:,}: {differ}"


def _expected(export: BoltExport, log: Log, number: int) -> dict[str, Values]:
    """Component -> values of its members after `number` frames of a log, of which none is wrong."""
    count, codec = log.about.slots + number, MatchCodec(export.sliced)
    before, trace, after = Replay(export.net, NOTHING, log.about.ids).last(log.records[:count])
    ruled = codec.ruled(before, export.net.heads(trace))
    return codec.values(after.frame[0], ruled, log.codec.inputs_in(log.records[count - 1]), number)
