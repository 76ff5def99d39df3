"""Programs of std Rust on this machine: BOLT's World, built from the crate registry and run.

Skipped where scripts/bolt.sh is not installed: its first build takes minutes.
"""

import subprocess
from pathlib import Path

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_export.schema.accounts import discriminator
from wm_export.solana.sources import SCRIPTS, cache_folder
from wm_export.solana.virtual_machine import Cluster, virtual_machine

WORLD = Pubkey.from_string("WorLD15A7CrDwLcLy4fRqtaTb9fbd8o8iqiEMUDse2n")
SYSTEM = AccountMeta(Pubkey.default(), False, False)


@pytest.fixture(scope="module")
def world(bolt: Path) -> bytes:
    """World's program, built once for this user."""
    folder = cache_folder() / "bolt" / "programs"
    path = folder / f"{WORLD}.so"
    if not path.exists():
        subprocess.run(["bash", str(bolt), "world", str(folder)], check=True)
    return path.read_bytes()


def test_world_counts_its_worlds(world: bytes) -> None:
    svm, payer = virtual_machine(Cluster.ROLLUP), Keypair()
    svm.airdrop(payer.pubkey(), 10**10)
    svm.add_program(WORLD, world)

    def run(name: str, *accounts: AccountMeta) -> tuple[int, str]:
        """Compute units of an instruction of World, and the error, if it failed."""
        one = Instruction(WORLD, discriminator("global", name), [*accounts, SYSTEM])
        svm.expire_blockhash()
        blockhash = svm.latest_blockhash()
        message = Message.new_with_blockhash([one], payer.pubkey(), blockhash)
        result = svm.send_transaction(Transaction([payer], message, blockhash))
        if isinstance(result, FailedTransactionMetadata):
            return result.meta().compute_units_consumed(), "\n".join(result.meta().logs())
        return result.compute_units_consumed(), ""

    registry = AccountMeta(Pubkey.find_program_address([b"registry"], WORLD)[0], False, True)
    signer = AccountMeta(payer.pubkey(), True, True)
    units, error = run("initialize_registry", registry, signer)
    assert not error and 5_000 < units < 50_000
    for number in range(2):
        address = Pubkey.find_program_address([b"world", number.to_bytes(8, "big")], WORLD)[0]
        units, error = run("initialize_new_world", signer, AccountMeta(address, False, True), registry)
        assert not error and 5_000 < units < 50_000
        made = svm.get_account(address)
        assert made is not None and made.owner == WORLD
        assert bytes(made.data)[:16] == discriminator("account", "World") + number.to_bytes(8, "little")
    _, error = run("initialize_registry", registry, signer)
    assert "already in use" in error


@pytest.mark.parametrize("words", [[], ["build"], ["build", "nowhere"], ["fetch"], ["world"], ["compile"]])
def test_wrong_use_is_answered_with_what_there_is(words: list[str]) -> None:
    done = subprocess.run(["bash", str(SCRIPTS / "bolt.sh"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("bolt: ")
