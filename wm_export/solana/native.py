"""Run world steps on the host with the program's own kernels and rules: a child process fed with accounts."""

import subprocess
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_export.solana.account_codec import AccountCodec, Keys
from wm_export.solana.export import Export, checked_sources
from wm_export.solana.toolchain import build_host
from wm_export.solana.workspace import staged

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace

_NOBODY = Keys(bytes(32), bytes(32), bytes(32), bytes(32))


class NativeRunner:
    """Interpreter.step for one world, by onchain/host; a context manager that ends the process."""

    def __init__(self, export: Export) -> None:
        self.codec = AccountCodec(export.net, export.lowered, export.manifest.hash)
        with staged(checked_sources(export)) as workspace:
            command, pipe = [str(build_host(workspace / "host", "wmq-host")), str(export.blob_path)], subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def __enter__(self) -> "NativeRunner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.communicate()

    def step(self, state: "State", following: NDArray[np.int8]) -> tuple["Trace", "State"]:
        """One frame of one world."""
        layout = self.codec.layout
        record = (
            self.codec.session(state, _NOBODY)
            + self.codec.scratch(state, _NOBODY)
            + self.codec.records.input_bytes(following[0])
        )
        answer = self._exchange(record, layout.session_bytes + layout.scratch_bytes)
        session, scratch = answer[: layout.session_bytes], answer[layout.session_bytes :]
        return self.codec.trace(session, scratch), self.codec.state(session, scratch, state)

    def _exchange(self, record: bytes, size: int) -> bytes:
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin and stdout and stderr
        try:
            stdin.write(record)
            stdin.flush()
            answer = stdout.read(size)
        except BrokenPipeError:
            answer = b""
        if len(answer) != size:
            raise WmExportError(f"native run ended early: {stderr.read().decode(errors='replace').strip()[-500:]}")
        return answer
