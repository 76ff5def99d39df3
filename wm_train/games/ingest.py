"""Folders of recordings -> a dataset. Every file is read in a process of its own pool, so that none can stop the run.

Safe to kill anywhere: games are written whole, `meta.json` last; the next run keeps the games that are there. Safe to
run again: a file whose md5 is known is hashed, not parsed.
"""

import contextlib
import hashlib
import multiprocessing
import os
import platform
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from wm_train.artifact import check_folder, foreign
from wm_train.errors import WmTrainError
from wm_train.games.cluster import spread
from wm_train.games.dataset import (
    ENCODED,
    META_NAME,
    DatasetMeta,
    Rejected,
    StoredGame,
    game_path,
    is_older,
    is_stored,
    pack_game,
    read_header,
    read_meta,
    write_meta,
    write_packed,
)
from wm_train.games.match import match_of
from wm_train.games.recordings import Reader, Recording, RecordingError, read_bytes
from wm_train.games.rowless import rowless_ids
from wm_train.games.workers import start_worker
from wm_train.world.definition import Game
from wm_train.world.registry import find_game
from wm_train.writer import one_writer

#: A recording that takes longer (a 256 MiB one takes about 5) is taken for one that the parser never ends on.
SECONDS_PER_FILE = 120
_QUEUE_PER_WORKER = 4
#: Reasons that may lie in the machine or in wmq; such a file is read again by the next run.
_TRIED_AGAIN = ("worker_died", "internal_error")


@dataclass(frozen=True)
class Source:
    """A recorded file and the name it has in reports: its path below the folder that was given."""

    path: Path
    name: str


@dataclass(frozen=True)
class Outcome:
    """What became of one source: exactly one of `game` (parsed now), `known` (md5 seen before) and `rejected`."""

    source: Source
    game: StoredGame | None = None
    known: str | None = None
    rejected: Rejected | None = None


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What a run did. sources = parsed + known + duplicates + rejected; games and frames are the whole dataset's, and
    so is kinds: how many of its games are of each kind. duplicates are copies of a file, and other recordings of a
    game. Of the games that were read now: rowless, their ids without a row of their own; rounded, how many have inputs
    that were rounded.
    """

    sources: int
    parsed: int
    known: int
    duplicates: int
    rejected: tuple[Rejected, ...]
    games: int
    frames: int
    kinds: Mapping[str, int]
    rowless: Mapping[str, tuple[int, ...]]
    rounded: int
    fingerprint: str
    seconds: float


Progress = Callable[[int, int, Outcome], None]


def ingest(
    sources: Iterable[Path],
    out: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    address: str | None = None,
    played: Game | None = None,
) -> IngestReport:
    """Bring every recording of `sources` (folders, searched for the reader's suffix, or files) of the game `played`
    (None: the default one) into the dataset folder `out`.

    `workers` processes (None: one per core) are started with spawn: a script that calls this needs a `__main__` guard.
    With `address` the machines of a Ray cluster read instead; they must see the files under the same paths, and `out`
    is written here alone. `progress(done, total, outcome)` is called here for each file. A file that cannot be used is
    in the report, and in `meta.json`, with its reason. On KeyboardInterrupt what is done is kept and listed, then it is
    raised again.
    Raises WmTrainError for sources that are not there, a busy `out`, or a `meta.json` of another format.
    """
    played = played or find_game()
    found, began = find_sources(sources, played), time.monotonic()
    try:
        with one_writer(out, "ingest"):
            meta, outcomes = _ingest(found, out, played, workers or os.cpu_count() or 1, progress, address)
    except OSError as error:
        raise WmTrainError(
            f"{out}: cannot write the dataset: {error.strerror}; once that is mended, run again"
        ) from None
    return _report(meta, outcomes, time.monotonic() - began)


def reader_of(played: Game) -> Reader:
    """What reads a game's recordings, loaded; WmTrainError if it has none."""
    if played.reader is None:
        raise WmTrainError(f"ingest: {played.title} has no reader of recordings; its own package makes its datasets")
    return played.reader()


def _ingest(
    found: list[Source], out: Path, played: Game, workers: int, progress: Progress | None, address: str | None
) -> tuple[DatasetMeta, list[Outcome]]:
    known = _known(out, played)
    refused = {entry.md5: entry for entry in known.rejected}
    outcomes: list[Outcome] = []
    try:
        with contextlib.closing(_run(found, out, known, workers, address)) as run:
            for outcome in run:
                if outcome.known in refused:
                    again = replace(refused[outcome.known], name=outcome.source.name)
                    outcome = Outcome(outcome.source, rejected=again)
                outcomes.append(outcome)
                if progress:
                    progress(len(outcomes), len(found), outcome)
    finally:  # an interrupt too: the games written so far are listed
        meta = _merge(out, known, outcomes)
        write_meta(meta)
    return meta, outcomes


def find_sources(sources: Iterable[Path], played: Game | None = None) -> list[Source]:
    """The recorded files of folders (every *`suffix` below, links to folders not followed) and files, in order of name.

    Raises WmTrainError if a source is not there or all of them hold no such file.
    """
    suffix = reader_of(played or find_game()).suffix
    found: dict[Path, Source] = {}
    for source in sources:
        if source.is_dir():
            for path in _walk(source, suffix):
                found.setdefault(path.resolve(), Source(path, _printable(path.relative_to(source))))
        elif source.exists():
            found.setdefault(source.resolve(), Source(source, _printable(Path(source.name))))
        else:
            raise WmTrainError(f"{source}: expected a folder of {suffix} files or one such file, got nothing")
    if not found:
        raise WmTrainError(f"no {suffix} file in the folders given; expected at least one")
    return sorted(found.values(), key=lambda source: (source.name, os.fsencode(source.path)))


def _walk(folder: Path, suffix: str) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names if name.lower().endswith(suffix))


def _printable(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")[-1024:]


def _known(out: Path, played: Game) -> DatasetMeta:
    """What is in the folder already: listed games, and whole ones that a killed run had no time to list."""
    check_folder(out, WmTrainError)
    parser = reader_of(played).parser
    if not (out / META_NAME).exists():
        _need_place(out)
        return DatasetMeta(out, parser, _stored(out, ()), (), played)
    try:
        old = read_meta(out)
    except WmTrainError:
        games = _stored(out, ())
        if not games and not is_older(out):  # somebody else's meta.json is not for us to overwrite
            raise
        return DatasetMeta(out, parser, games, (), played)
    if old.game is not played:
        raise WmTrainError(f"{out}: its games are of {old.game.name}, expected {played.name}; name another folder")
    # Another parser may read what this one refused.
    return DatasetMeta(out, parser, _stored(out, old.games), old.rejected if old.parser == parser else (), played)


def _need_place(out: Path) -> None:
    """WmTrainError if a folder that lists no games holds anything but games, which a killed run has left."""
    own = {entry.name for entry in out.glob("*.parquet")} | {ENCODED}
    if (held := foreign(out, own)) is not None:
        raise WmTrainError(f"{out}: holds {held}, which is no part of a dataset; name another folder with --out")


def _stored(out: Path, listed: Iterable[StoredGame]) -> tuple[StoredGame, ...]:
    """Games whose file is there and whole, by md5: the listed ones at a glance, others by the header of their file."""
    games = {game.md5: game for game in listed if is_stored(out, game)}
    for path in out.glob("*.parquet"):
        if path.stem not in games:
            with contextlib.suppress(WmTrainError):  # not a game of this format: parsed anew if its recording is given
                games[path.stem] = read_header(out, path.stem)
    return tuple(games[md5] for md5 in sorted(games))


def _run(
    found: list[Source], out: Path, known: DatasetMeta, workers: int, address: str | None
) -> Generator[Outcome, None, None]:
    """Outcomes as they come. When a worker dies, the files that were in its pool are tried again, one pool each."""
    seen = {md5 for game in known.games for md5 in (game.md5, *game.also)}
    seen |= {entry.md5 for entry in known.rejected if entry.md5 and entry.reason not in _TRIED_AGAIN}
    waiting = list(reversed(found))
    if address:
        waiting = yield from _run_spread(waiting, out, known.game, seen, address)
    while waiting:
        suspects = yield from _run_pool(waiting, out, known.game, seen, min(workers, len(waiting)))
        for suspect in suspects:
            if (yield from _run_pool([suspect], out, known.game, seen, 1)):
                yield _died(suspect)


def _run_spread(
    sources: list[Source], out: Path, played: Game, seen: set[str], address: str
) -> Generator[Outcome, None, list[Source]]:
    """Have the machines of a cluster read; games come back and are stored here. Returns the sources that did not."""
    left = {source.path.resolve(): source for source in sources}
    absolute = [replace(source, path=path) for path, source in left.items()]
    with contextlib.closing(spread(address, partial(_read_afar, played=played, seen=seen), absolute)) as run:
        for outcome, data in (result for result in run if result):
            if outcome.game:
                write_packed(out, outcome.game, data)
            yield replace(outcome, source=left.pop(outcome.source.path))
    return list(left.values())


_afar: ProcessPoolExecutor | None = None


def _read_afar(source: Source, played: Game, seen: Set[str]) -> tuple[Outcome, bytes] | None:
    """In a cluster's worker: `read_source` in a process of its own, which is kept for the next file; None if the file
    ended it. (A file that ended Ray's worker would be given to the next one, without end.)"""
    global _afar
    if not source.path.exists():
        raise WmTrainError(f"{source.path}: {platform.node()} does not see it; put the files on a shared folder")
    md5 = _md5_or_none(source.path)
    if md5 in seen:
        return Outcome(source, known=md5), b""
    _afar = _afar or ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start_worker)
    try:
        return _afar.submit(read_source, source, played, frozenset()).result()
    except BrokenProcessPool:
        _afar = None
        return None


def _died(source: Source) -> Outcome:
    detail = f"reading it ended the process or took over {SECONDS_PER_FILE} s"
    return _rejected(source, _md5_or_none(source.path), "worker_died", detail)


def _md5_or_none(path: Path) -> str | None:
    try:
        return hashlib.md5(read_bytes(path), usedforsecurity=False).hexdigest()
    except RecordingError:
        return None


def _run_pool(
    waiting: list[Source], out: Path, played: Game, seen: set[str], workers: int
) -> Generator[Outcome, None, list[Source]]:
    """Take sources off the end of `waiting` through one pool; returns those in flight if a worker died, else none."""
    in_flight: dict[Future[Outcome], Source] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (out, played, seen)) as pool:
        _wait_for_start(pool)
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < workers * _QUEUE_PER_WORKER:
                    in_flight[pool.submit(_ingest_one, waiting[-1])] = waiting[-1]
                    waiting.pop()
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    del in_flight[future]
                    yield outcome
        except BrokenProcessPool:
            return list(in_flight.values())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return []


def _wait_for_start(pool: ProcessPoolExecutor) -> None:
    """Tell a pool that cannot start at all from one that a file breaks."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        hint = 'a script that calls ingest needs an `if __name__ == "__main__":` guard'
        raise WmTrainError(f"worker processes end before their first file; {hint}") from None


_worker_out: Path
_worker_played: Game
_worker_seen: set[str]


def _start_worker(out: Path, played: Game, seen: set[str]) -> None:
    """What every file of this process needs."""
    global _worker_out, _worker_played, _worker_seen
    _worker_out, _worker_played, _worker_seen = out, played, seen
    start_worker()


def _ingest_one(source: Source) -> Outcome:
    """In a worker: read one file and store its game."""
    outcome, data = read_source(source, _worker_played, _worker_seen)
    if outcome.game:
        write_packed(_worker_out, outcome.game, data)
        _worker_seen.add(outcome.game.md5)
    return outcome


def read_source(source: Source, played: Game, seen: Set[str]) -> tuple[Outcome, bytes]:
    """Read, hash, and unless the md5 is among `seen`, parse one file: (outcome, its game's Parquet file or nothing).

    Ends the process after SECONDS_PER_FILE.
    """
    signal.alarm(SECONDS_PER_FILE)  # its default action ends this process, native code or not
    try:
        data = read_bytes(source.path)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if md5 in seen:
            return Outcome(source, known=md5), b""
        recording = reader_of(played).parse(data, md5)
    except RecordingError as error:
        return _rejected(source, error.md5, error.reason, error.detail), b""
    except Exception as error:  # a fault of ours on one file must not cost the others
        return _rejected(source, None, "internal_error", f"{type(error).__name__}: {error!s:.200}"), b""
    finally:
        signal.alarm(0)
    game = _as_game(recording, played)
    packed = pack_game(game, recording.table, played)
    return Outcome(source, game=replace(game, bytes=len(packed))), packed


def _rejected(source: Source, md5: str | None, reason: str, detail: str) -> Outcome:
    return Outcome(source, rejected=Rejected(name=source.name, md5=md5, reason=reason, detail=detail))


def _as_game(recording: Recording, played: Game) -> StoredGame:
    return StoredGame(
        md5=recording.md5,
        match=match_of(recording, played),
        rowless=rowless_ids(recording, played),
        frames=recording.table.num_rows,
        about=recording.about,
        missing=recording.missing,
        bytes=0,
    )


def _merge(out: Path, known: DatasetMeta, outcomes: list[Outcome]) -> DatasetMeta:
    """The listing after a run; the same whatever order the files came in, so that a killed run ends the same."""
    written = [outcome.game for outcome in outcomes if outcome.game]
    # A game whose outcome was lost to an interrupt or a dead worker is in the folder all the same.
    games = _each_once(out, _stored(out, [*known.games, *written]))
    stored = {md5 for game in games for md5 in (game.md5, *game.also)}
    rejected = {entry.md5: entry for entry in known.rejected if entry.md5 and entry.md5 not in stored}
    unread: dict[str, Rejected] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.source.name, reverse=True):
        entry = outcome.rejected
        if entry and entry.md5:
            rejected[entry.md5] = entry
        elif entry:
            unread[entry.name] = entry
    every = sorted([*rejected.values(), *unread.values()], key=lambda entry: (entry.name, entry.md5 or ""))
    return DatasetMeta(out, known.parser, games, tuple(every), known.game)


def _each_once(out: Path, games: Iterable[StoredGame]) -> tuple[StoredGame, ...]:
    """One recording of each match, by md5: the longest, of those the one that lacks fewest columns. The files of others
    are taken away, whatever order they came in; their MD5s are kept with the game."""
    matches = dict[str, list[StoredGame]]()
    for game in games:
        matches.setdefault(game.match, []).append(game)
    return tuple(sorted((_best(out, same) for same in matches.values()), key=lambda game: game.md5))


def _best(out: Path, same: list[StoredGame]) -> StoredGame:
    best, *others = sorted(same, key=lambda game: (-game.frames, len(game.missing), game.md5))
    for game in others:
        game_path(out, game.md5).unlink()
    left_out = {md5 for game in same for md5 in (game.md5, *game.also)} - {best.md5}
    return replace(best, also=tuple(sorted(left_out)))


def _report(meta: DatasetMeta, outcomes: list[Outcome], seconds: float) -> IngestReport:
    kept = {game.md5 for game in meta.games}
    parsed = {outcome.game.md5 for outcome in outcomes if outcome.game} & kept
    stored = [outcome for outcome in outcomes if outcome.game or outcome.known]
    known = {outcome.known for outcome in outcomes if outcome.known} & kept - parsed
    now = [game for game in meta.games if game.md5 in parsed]
    rowless = dict[str, set[int]]()
    for name, ids in (pair for game in now for pair in game.rowless.items()):
        rowless.setdefault(name, set()).update(ids)
    rejected = tuple(outcome.rejected for outcome in outcomes if outcome.rejected)
    return IngestReport(
        sources=len(outcomes),
        parsed=len(parsed),
        known=len(known),
        duplicates=len(stored) - len(parsed) - len(known),
        rejected=tuple(sorted(rejected, key=lambda entry: entry.name)),
        games=len(meta.games),
        frames=sum(game.frames for game in meta.games),
        kinds=dict(Counter(kind for game in meta.games for kind in meta.kinds(game)).most_common()),
        rowless={name: tuple(sorted(ids)) for name, ids in rowless.items()},
        rounded=sum(any(game.about.get(meta.game.facts.rounded, ())) for game in now),
        fingerprint=meta.fingerprint,
        seconds=seconds,
    )
