"""A LiteSVM world for attacks: the built program, and every instruction of it, by anyone.

What only a rollup can make, the scratch account, is put in place as the rollup makes it: at its address, zeroed, owned
by the program. Accounts of other programs are put in place where an attacker could have made them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.rent import Rent
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from tests.records import INPUT_BYTES, frame_bytes
from tests.security.kit import (
    CREATOR,
    DISPUTED,
    FUNDS,
    KEYS,
    NOBODY,
    NOW,
    OPPONENT,
    PAYER,
    PROGRAM,
    PUBLISHER,
    STRANGER,
    VALIDATOR,
    Game,
    Kit,
    Outcome,
    error_of,
)
from wm_export.lower.memory import chunk
from wm_export.schema.accounts import DISPUTE, SESSION, VERDICTS
from wm_export.schema.limits import CHUNK_BYTES
from wm_export.solana.layout import chunks, pieces
from wm_export.solana.virtual_machine import Cluster, virtual_machine
from wm_live.chain.addresses import (
    delegation_buffer,
    delegation_metadata,
    delegation_record,
    model_address,
    model_seed,
    pin_address,
    scratch_address,
    session_address,
)
from wm_live.deploy.program import instruction
from wm_live.session.account import SessionState, session_state
from wm_live.session.terms import Terms
from wm_live.session.tree import root_of

#: Instructions in one upload transaction; a LiteSVM does not mind its size.
BATCH = 50


#: Instructions that end with the model accounts, however many there are.
READ_WEIGHTS = ("step", "advance", "open_window", "open_dispute", "judge")


class World:
    """A chain with the program on it."""

    def __init__(self, kit: Kit, program: bytes) -> None:
        self.kit, self.svm = kit, virtual_machine(Cluster.MAINNET)
        self.svm.set_rent(Rent(6_960, 1.0, 50))
        self.svm.add_program(PROGRAM, program)
        self.set_time(NOW)
        self._known: set[Pubkey] = set()
        self.failures: list[str] = []
        self.logs: tuple[str, ...] = ()
        shards, manifest = range(len(kit.export.shards)), kit.export.manifest.hash
        self.model, *self.more_models = (model_address(PUBLISHER.pubkey(), manifest, PROGRAM, k) for k in shards)
        self.game = self.new_game()
        self.dispute = Pubkey.create_with_seed(OPPONENT.pubkey(), "dispute", PROGRAM)
        for who in (PAYER, PUBLISHER, CREATOR, OPPONENT, STRANGER, VALIDATOR):
            self.put(who.pubkey(), Account(FUNDS, b"", Pubkey.default()))

    # --- accounts

    def put(self, address: Pubkey, account: Account) -> None:
        """Put an account in place, and keep it in sight."""
        self._known.add(address)
        self.svm.set_account(address, account)

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """Every account that any instruction has named, and that exists; no programs."""
        for address in sorted(self._known, key=bytes):
            account = self.svm.get_account(address)
            if account is not None and not account.executable:
                yield address, account

    def account(self, address: Pubkey) -> Account:
        """An account that must exist."""
        account = self.svm.get_account(address)
        assert account is not None, address
        return account

    def data(self, address: Pubkey) -> bytes:
        """An account's data."""
        return bytes(self.account(address).data)

    def exists(self, address: Pubkey) -> bool:
        """Whether an account has data."""
        account = self.svm.get_account(address)
        return account is not None and len(account.data) > 0

    def lamports(self, who: Keypair) -> int:
        """What somebody has."""
        return self.account(who.pubkey()).lamports

    def patch(self, address: Pubkey, at: int, value: bytes) -> None:
        """Change bytes of an account from outside."""
        old = self.account(address)
        data = old.data[:at] + value + old.data[at + len(value) :]
        self.put(address, Account(old.lamports, data, old.owner))

    def zeroed(self, address: Pubkey, size: int, owner: Pubkey = PROGRAM) -> None:
        """An account of zeros."""
        self.put(address, Account(self.svm.minimum_balance_for_rent_exemption(size), bytes(size), owner))

    def state(self, game: Game | None = None) -> SessionState:
        """A session, read."""
        return session_state(self.kit.where, self.data((game or self.game).address))

    def set_time(self, seconds: int) -> None:
        """Set the clock."""
        old = self.svm.get_clock()
        self.svm.set_clock(Clock(old.slot, old.epoch_start_timestamp, old.epoch, old.leader_schedule_epoch, seconds))

    # --- transactions

    def send(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> Outcome:
        """One transaction, its fee paid by somebody without part in it."""
        self._see(instructions)
        self.svm.expire_blockhash()
        message = Message.new_with_blockhash(list(instructions), PAYER.pubkey(), self.svm.latest_blockhash())
        keys = [PAYER, *(who for who in dict.fromkeys(signers) if who != PAYER)]
        result = self.svm.send_transaction(Transaction(keys, message, self.svm.latest_blockhash()))
        if isinstance(result, FailedTransactionMetadata):
            meta = result.meta()
            return Outcome(error_of(result), tuple(meta.logs()), meta.compute_units_consumed())
        return Outcome("", tuple(result.logs()), result.compute_units_consumed())

    def must(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> None:
        """A transaction that passes."""
        outcome = self.send(*instructions, signers=signers)
        assert not outcome.error, (outcome.error, outcome.logs[-6:])

    def attack(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> bool:
        """An attacker's transaction; whether it passed. One that fails is noted, and has changed nothing."""
        self._see(instructions)
        before = dict(self.accounts())
        outcome = self.send(*instructions, signers=signers)
        self.logs = outcome.logs
        if outcome.error:
            self.failures.append(outcome.error)
            # The fee alone is gone.
            assert dict(self.accounts()) | {PAYER.pubkey(): before[PAYER.pubkey()]} == before
        return not outcome.error

    def _see(self, instructions: Sequence[Instruction]) -> None:
        self._known.update(meta.pubkey for one in instructions for meta in one.accounts)

    def make(self, name: str, accounts: dict[str, Pubkey], **args: Any) -> Instruction:
        """One instruction of the program; those that read weights get the accounts of all shards."""
        return instruction(PROGRAM, name, accounts, self.more_models if name in READ_WEIGHTS else (), **args)

    # --- a model

    def new_account(self, who: Keypair, seed: str, size: int, owner: Pubkey = PROGRAM) -> Instruction:
        """The system program's instruction that makes an account at an address derived from a wallet."""
        rent = self.svm.minimum_balance_for_rent_exemption(size)
        to = Pubkey.create_with_seed(who.pubkey(), seed, owner)
        params = CreateAccountWithSeedParams(
            from_pubkey=who.pubkey(), to_pubkey=to, base=who.pubkey(), seed=seed, lamports=rent, space=size, owner=owner
        )
        return create_account_with_seed(params)

    def create_model(self, who: Keypair = PUBLISHER) -> Pubkey:
        """Make a model account; its address."""
        manifest = self.kit.export.manifest.hash
        address = model_address(who.pubkey(), manifest, PROGRAM)
        made = self.new_account(who, model_seed(manifest), self.kit.where.model_bytes[0])
        self.must(made, self.make("create_model", self.owned(who, address)), signers=[who])
        return address

    def owned(self, who: Keypair, model: Pubkey) -> dict[str, Pubkey]:
        """Accounts of an instruction about a model."""
        return {"authority": who.pubkey(), "model": model}

    def chunk(self, index: int, who: Keypair, model: Pubkey, blob: bytes | None = None) -> Instruction:
        """The instruction that writes a chunk of the true blob, or of another."""
        blob = self.kit.export.blob if blob is None else blob
        data = blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        return self.make("write_chunk", self.owned(who, model), index=index, data=data)

    def upload(self, who: Keypair, model: Pubkey, blob: bytes | None = None, skip: Sequence[int] = ()) -> None:
        """Write all chunks, or all but some."""
        every = [i for i in range(chunks(len(self.kit.export.blob))) if i not in skip]
        for start in range(0, len(every), BATCH):
            batch = [self.chunk(i, who, model, blob) for i in every[start : start + BATCH]]
            self.must(*batch, signers=[who])

    def hash_instructions(self, who: Keypair, model: Pubkey) -> list[Instruction]:
        """Instructions that hash the whole blob, a piece each."""
        count = pieces(len(self.kit.export.blob))
        # No two alike: a transaction may hold them all, and a chain takes no transaction twice.
        return [self.make("hash_model", self.owned(who, model), pieces=1) for _ in range(count)]

    def freeze(self, who: Keypair, model: Pubkey) -> None:
        """Hash and freeze."""
        for one in self.hash_instructions(who, model):
            self.must(one, signers=[who])
        self.must(self.make("freeze_model", self.owned(who, model)), signers=[who])

    # --- a session

    def new_game(self, creator: Keypair = CREATOR, model: Pubkey | None = None, **changed: Any) -> Game:
        """A session and its addresses; it need not exist yet. What is agreed may be changed."""
        known = Terms(1, (2, 8, 9, 0), root_of(self.kit.seeds), Pubkey(NOBODY), VALIDATOR.pubkey())
        terms, model = replace(known, **changed), model or self.model
        address = session_address(PROGRAM, model, creator.pubkey(), terms.hash)
        return Game(address, scratch_address(PROGRAM, address), creator, OPPONENT, terms, model)

    def create(self, game: Game) -> Instruction:
        """`create_session`."""
        accounts = {"creator": game.creator.pubkey(), "session": game.address, "model": game.model}
        key = {"key": bytes(KEYS[0].pubkey()), "expires": NOW + 3600}
        return self.make("create_session", accounts, **game.terms.arguments, **key)

    def join(self, game: Game, who: Keypair | None = None) -> Instruction:
        """`join_session`, by the opponent or by somebody else."""
        accounts = {"player": (who or game.opponent).pubkey(), "session": game.address}
        terms = {"terms": game.terms.hash, "key": bytes(KEYS[1].pubkey()), "expires": NOW + 3600}
        return self.make("join_session", accounts, **terms)

    def open_window(self, game: Game) -> Instruction:
        """`open_window` by the creator; of a session with a log, with its peaks."""
        accounts = {"party": game.creator.pubkey(), "session": game.address, "scratch": game.scratch}
        return self.make("open_window", accounts | {"model": self.model}, peaks=game.peaks)

    def seed(self, game: Game, index: int, record: bytes | None = None) -> Instruction:
        """`seed_frame` by the creator, with the true seed or another."""
        accounts = {"party": game.creator.pubkey(), "session": game.address, "scratch": game.scratch}
        parts = self.kit.where.records.split_record(record or self.kit.seeds[index])
        return self.make("seed_frame", accounts, index=index, **parts)

    def started(self, game: Game) -> Game:
        """From a session that has been joined to one that computes frames."""
        self.zeroed(game.scratch, self.kit.where.scratch_bytes)
        self.must(self.open_window(game), signers=[game.creator])
        for index in range(self.kit.slots):
            self.must(self.seed(game, index), signers=[game.creator])
        return replace(game, log=self.kit.seeds)

    def submit(self, game: Game, player: int, frame: int, value: bytes, who: Keypair | None = None) -> Instruction:
        """`submit_input`, by the player's wallet or by somebody else."""
        signer = who or (game.creator, game.opponent)[player]
        accounts = {"signer": signer.pubkey(), "session": game.address}
        return self.make("submit_input", accounts, player=player, frame=frame, input=value)

    def submit_both(self, game: Game, frame: int, inputs: bytes | None = None) -> None:
        """Both inputs of a frame."""
        value = inputs or self.kit.inputs[frame]
        halves = [value[:INPUT_BYTES], value[INPUT_BYTES:]]
        both = [self.submit(game, player, frame, half) for player, half in enumerate(halves)]
        self.must(*both, signers=[game.creator, game.opponent])

    def step(self, game: Game, frame: int, step: int, **accounts: Pubkey) -> Instruction:
        """One `step`; accounts may be others."""
        given = {"session": game.address, "scratch": game.scratch, "model": self.model}
        return self.make("step", given | accounts, frame=frame, step=step)

    def advance(self, game: Game, **accounts: Pubkey) -> Instruction:
        """`advance`; accounts may be others."""
        given = {"session": game.address, "scratch": game.scratch, "model": self.model}
        return self.make("advance", given | accounts)

    def play(self, game: Game, inputs: bytes | None = None) -> Game:
        """The next frame, whole; the session with one more record in its log."""
        frame = self.state(game).frame_number
        self.submit_both(game, frame, inputs)
        for step in range(len(self.kit.export.manifest.plan)):
            self.must(self.step(game, frame, step))
        state = self.state(game)
        record = (inputs or self.kit.inputs[frame]) + frame_bytes(state.frame) + state.memory
        return replace(game, log=(*game.log, record))

    def end(self, game: Game) -> Instruction:
        """`end_session` by the creator."""
        return self.make("end_session", {"party": game.creator.pubkey(), "session": game.address})

    def close(self, game: Game, who: Keypair | None = None) -> Instruction:
        """`close_session`, by the creator or by somebody else."""
        signer = who or game.creator
        accounts = {"creator": signer.pubkey(), "session": game.address, "record": delegation_record(game.address)}
        return self.make("close_session", accounts)

    def delegate(self, game: Game, who: Keypair | None = None, **accounts: Pubkey) -> Instruction:
        """`delegate_session`; accounts may be others."""
        signer = (who or game.creator).pubkey()
        given = {
            "creator": signer,
            "session": game.address,
            "buffer": delegation_buffer(PROGRAM, game.address),
            "record": delegation_record(game.address),
            "metadata": delegation_metadata(game.address),
        }
        return self.make("delegate_session", given | accounts)

    # --- a dispute

    def pin(self, game: Game, who: Keypair = OPPONENT, root: bytes | None = None, **accounts: Pubkey) -> Instruction:
        """`pin_commit` of the root that the session has now, or of another; accounts may be others."""
        root = SESSION.read(self.data(game.address), "root") if root is None else root
        at = pin_address(PROGRAM, game.address, who.pubkey(), root)
        given = {"pinner": who.pubkey(), "pin": at, "session": game.address}
        return self.make("pin_commit", given | accounts, root=root)

    def pinned(self, game: Game, who: Keypair = OPPONENT) -> Pubkey:
        """Where the pin of the game's log lies."""
        return pin_address(PROGRAM, game.address, who.pubkey(), game.tree.root())

    def open_dispute(
        self, game: Game, frame: int = DISPUTED, who: Keypair = OPPONENT, **accounts: Pubkey
    ) -> Instruction:
        """`open_dispute` at `self.dispute`; accounts may be others."""
        given = {"disputer": who.pubkey(), "dispute": self.dispute, "pin": self.pinned(game), "model": self.model}
        return self.make("open_dispute", given | accounts, frame=frame, peaks=game.peaks)

    def new_dispute(self) -> Instruction:
        """The instruction that makes `self.dispute`."""
        return self.new_account(OPPONENT, "dispute", self.kit.where.dispute_bytes)

    def load(self, game: Game, leaf: int, record: bytes | None = None) -> Instruction:
        """`load_disputed` of a leaf, with its true record and proof or another record."""
        accounts = {"dispute": self.dispute, "session": game.address}
        return self.make("load_disputed", accounts, **self._proved(game, leaf, record))

    def load_for_scratch(
        self, game: Game, leaf: int, record: bytes | None = None, scratch: Pubkey | None = None
    ) -> Instruction:
        """`load_frame`: the same into the scratch account, or another in its place."""
        accounts = {"session": game.address, "scratch": scratch or game.scratch}
        return self.make("load_frame", accounts, **self._proved(game, leaf, record))

    def load_memory(
        self, game: Game, index: int, data: bytes, who: Keypair | None = None, scratch: Pubkey | None = None
    ) -> Instruction:
        """`load_memory` by the creator or somebody else, into the scratch account or another in its place."""
        accounts = {"party": (who or game.creator).pubkey(), "session": game.address}
        return self.make("load_memory", accounts | {"scratch": scratch or game.scratch}, index=index, data=data)

    def check_memory(self, game: Game, leaf: int | None = None, record: bytes | None = None) -> Instruction:
        """`check_memory` with the last leaf or another, and its true record or another."""
        args = self._proved(game, len(game.log) - 1 if leaf is None else leaf, record)
        del args["leaf"]
        return self.make("check_memory", {"session": game.address, "scratch": game.scratch}, **args)

    def load_disputed_memory(self, index: int, data: bytes, who: Keypair = OPPONENT) -> Instruction:
        """`load_disputed_memory`, by the disputer or by somebody else."""
        accounts = {"disputer": who.pubkey(), "dispute": self.dispute}
        return self.make("load_disputed_memory", accounts, index=index, data=data)

    def recalled(self, game: Game, frame: int, disputed: bool = False, spoiled: int | None = None) -> None:
        """What the network keeps before a frame, one byte of it `spoiled`, into the scratch account or the dispute."""
        region = bytearray(self.kit.region(game, frame))
        if spoiled is not None:
            region[spoiled] ^= 1
        for index in range(self.kit.where.memory.chunks):
            data = chunk(bytes(region), index)
            one = self.load_disputed_memory(index, data) if disputed else self.load_memory(game, index, data)
            self.must(one, signers=[OPPONENT if disputed else game.creator])

    def region(self, game: Game | None = None, disputed: bool = False) -> bytes:
        """The region of what the network keeps, as the scratch account or the dispute has it."""
        where, address = self.kit.where, self.dispute if disputed else (game or self.game).scratch
        at = (where.dispute_work if disputed else where.scratch_work) + where.memory.start
        return self.data(address)[at : at + where.memory.size]

    def _proved(self, game: Game, leaf: int, record: bytes | None) -> dict[str, Any]:
        proof = game.tree.proof(leaf, len(game.log))
        return {"leaf": leaf, "proof": proof} | self.kit.where.records.claimed(record or game.log[leaf])

    def judge(
        self, game: Game, step: int, record: bytes | None = None, leaf: int = 0, **accounts: Pubkey
    ) -> Instruction:
        """`judge`; record and the leaf whose proof goes with it may be others than those of the disputed frame."""
        leaf = leaf or DISPUTED + self.kit.slots
        given = {"dispute": self.dispute, "model": self.model}
        proof = game.tree.proof(leaf, len(game.log))
        claimed = self.kit.where.records.claimed(record or game.log[leaf])
        return self.make("judge", given | accounts, step=step, **claimed, proof=proof)

    def verdict(self) -> int:
        """0 open, 1 right, 2 wrong."""
        return VERDICTS.index(DISPUTE.read(self.data(self.dispute), "verdict"))

    def judge_all(self, game: Game) -> int:
        """Judge with the true record; the verdict."""
        for step in range(len(self.kit.export.manifest.plan)):
            self.must(self.judge(game, step))
            if self.verdict():
                break
        return self.verdict()
