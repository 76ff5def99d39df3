"""32-bit arithmetic of compiled Rust in LiteSVM: sBPF extends the sign of sums, LLVM takes it to extend zeros.

The linker puts that right (`--sbpf-optimize`, its default). Worlds hardly use such numbers: parity does not notice.
"""

import numpy as np
import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import TransactionMetadata

from tests.builds import one_file
from wm_export.schema.sbpf import Arch
from wm_export.solana.toolchain import Toolchain
from wm_export.solana.virtual_machine import Cluster, virtual_machine

#: Without accounts an instruction's data begins at byte 16 of the input: two u32. Sum, difference and product of them
#: come back as three u64, as LLVM makes them wider.
SOURCE = """#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
extern "C" { fn sol_set_return_data(data: *const u8, length: u64); }
#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *const u8) -> u64 {
    let (a, b) = (*(input.add(16) as *const u32), *(input.add(20) as *const u32));
    let wide = [a.wrapping_add(b) as u64, a.wrapping_sub(b) as u64, a.wrapping_mul(b) as u64];
    sol_set_return_data(wide.as_ptr() as *const u8, 24);
    0
}
"""
EDGES = [0, 1, 2, 3, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF]


@pytest.fixture(scope="module", params=list(Arch))
def program(sbpf: Toolchain, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return one_file(tmp_path_factory.mktemp("narrow"), "narrow", SOURCE, request.param)


def test_sums_differences_and_products_of_u32_become_u64_with_zeros(program: bytes) -> None:
    svm, payer, address = virtual_machine(Cluster.ROLLUP), Keypair(), Pubkey.new_unique()
    svm.airdrop(payer.pubkey(), 10**10)
    svm.add_program(address, program)
    for a in EDGES:
        for b in EDGES:
            data = np.array([a, b], "<u4").tobytes()
            message = Message.new_with_blockhash(
                [Instruction(address, data, [])], payer.pubkey(), svm.latest_blockhash()
            )
            done = svm.send_transaction(Transaction([payer], message, svm.latest_blockhash()))
            assert isinstance(done, TransactionMetadata), done
            wide = np.frombuffer(done.return_data().data.ljust(24, b"\0"), "<u8")
            assert wide.tolist() == [one % 2**32 for one in (a + b, a - b, a * b)], (a, b)
