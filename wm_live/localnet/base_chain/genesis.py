"""Genesis: accounts and programs that exist before the first transaction."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.rent import Rent

from wm_live.chain.addresses import DELEGATION_PROGRAM, FINAL_LOADER, SYSTEM_PROGRAM
from wm_live.errors import WmLiveError
from wm_train.reading import Artifact

#: Lamports a byte: a real cluster's rent for the two years that exempt an account, as one number for one year.
#: Programs compiled with the rent as a constant and those that read the sysvar agree on it.
RENT = Rent(6_960, 1.0, 50)
#: Where the delegation program's own share of fees goes.
FEES_VAULT = Pubkey.find_program_address([b"fees-vault"], DELEGATION_PROGRAM)[0]
SOL = 1_000_000_000
VALIDATOR_SOL = 100

#: A program of a folder, which may be a link to where it was built.
PROGRAM = Artifact(WmLiveError, "expected a program named <address>.so", max_bytes=10 << 20, linked=True)

#: A fees vault holds one counter, zero at first.
_VAULT_DATA = bytes(8)


@dataclass(frozen=True)
class Genesis:
    """Programs by address (ELF files) and plain accounts by address."""

    programs: Mapping[Pubkey, bytes] = field(default_factory=dict)
    accounts: Mapping[Pubkey, Account] = field(default_factory=dict)

    def digest(self) -> bytes:
        """32 bytes that name this genesis."""
        whole = hashlib.sha256()
        for address, elf in sorted(self.programs.items(), key=lambda item: bytes(item[0])):
            whole.update(bytes(address) + hashlib.sha256(elf).digest())
        for address, account in sorted(self.accounts.items(), key=lambda item: bytes(item[0])):
            whole.update(bytes(address) + bytes(account))
        return whole.digest()

    def load_into(self, svm: LiteSVM) -> None:
        """Put everything into a fresh LiteSVM; WmLiveError if it refuses a program."""
        # An upgradeable program is put there after the account that holds its code.
        for address, account in sorted(self.accounts.items(), key=lambda item: item[1].executable):
            svm.set_account(address, account)
        for address, elf in self.programs.items():
            place_program(svm, address, elf)


def place_program(svm: LiteSVM, address: Pubkey, elf: bytes) -> None:
    """Put a program into a LiteSVM, under the loader that knows no upgrades; WmLiveError if it refuses it."""
    lamports = svm.minimum_balance_for_rent_exemption(len(elf))
    try:
        # Not by add_program, which panics where this raises.
        svm.set_account(address, Account(lamports, elf, FINAL_LOADER, executable=True))
    except Exception as error:  # of no type that solders would export
        raise WmLiveError(f"program {address}: LiteSVM does not load it ({error}); expected sBPF v0 to v3") from None


def rollup_accounts(validator: Pubkey) -> dict[Pubkey, Account]:
    """Accounts without which a rollup's validator cannot work: its purse, and the vaults its fees go to."""
    vault = Account(VALIDATOR_SOL * SOL, _VAULT_DATA, DELEGATION_PROGRAM)
    return {
        validator: Account(VALIDATOR_SOL * SOL, b"", SYSTEM_PROGRAM),
        FEES_VAULT: vault,
        Pubkey.find_program_address([b"v-fees-vault", bytes(validator)], DELEGATION_PROGRAM)[0]: vault,
    }


def read_programs(folders: Iterable[Path]) -> dict[Pubkey, bytes]:
    """Programs of folders that hold <address>.so; WmLiveError for a name that is no address or a file unread."""
    return {_address(path): PROGRAM.read(path) for folder in folders for path in sorted(folder.glob("*.so"))}


def _address(path: Path) -> Pubkey:
    try:
        return Pubkey.from_string(path.stem)
    except ValueError as error:
        raise PROGRAM.refuse(path, error) from None
