"""LiteSVM with the features of a cluster: they say which system calls, versions of sBPF and rules its runtime has."""

from enum import Enum

from solders.compute_budget import ComputeBudget
from solders.litesvm import FeatureSet, LiteSVM
from solders.pubkey import Pubkey

from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_export.schema.sbpf import FEATURES

#: Those that the rollup's validator (0.14.10) turns on; it has no other.
ROLLUP_FEATURES = {
    "disable_rent_fees_collection": "CJzY83ggJHqPGDq8VisV3U91jDJLuEaALZooBrXtnnLU",
    "curve25519_syscall_enabled": "7rcw5UtqgDTBBv2EcynNfYckgdAaH1MAsCjKgXMkN7Ri",
    "curve25519_restrict_msm_length": "eca6zf6JJRjQsYYPkBHF3N32MTzur4n2WL4QiiacPCL",
    "enable_poseidon_syscall": "FL9RsQA6TVUoh5xJQ9d936RHSebA1NLQqe3Zv9sXZRpr",
    "enable_sbpf_v3_deployment_and_execution": FEATURES["v3"],
    "enable_transaction_loading_failure_fees": "PaymEPK2oqwT9TXAVfadjztH2H6KfLEB9Hhd5Q5frvP",
    "get_sysvar_syscall_enabled": "CLCoTADvV64PSrnR6QXty6Fwrt9Xc6EdxSJE4wLRePjq",
    "ed25519_program_enabled": "6ppMXNYLhVd7GcsZ5uV11wQEW7spppiMVfqQv5SXhDpX",
    "secp256k1_program_enabled": "E3PHP7w8kB7np3CTQ1qQ2tW3KCtjRSXBQgW9vM2mWv2Y",
    "enable_secp256r1_precompile": "srremy31J5Y25FrAApwVb9kZcfXbusYMMsvTK9aWv5q",
}
#: The system call that a metering program reads its units with. Neither cluster has it.
METER_FEATURE = Pubkey.from_string("5TuppMutoyzhUSfuYdhgzD47F92GL1g89KpCZQKqedxP")
#: SIMD-0268: programs may call each other eight deep, not four.
DEEPER_CALLS = Pubkey.from_string("6TkHkRmP7JZy1fdM6fg5uXn76wChQBWGokHBJzrLB3mj")


class Cluster(Enum):
    """Where a program is to run: Solana's mainnet, or MagicBlock's rollup."""

    MAINNET = "mainnet"
    ROLLUP = "rollup"


def features(cluster: Cluster) -> FeatureSet:
    """The features that a cluster's runtime has on, in a set of one's own."""
    if cluster is Cluster.MAINNET:
        return LiteSVM.mainnet_feature_set()
    found = FeatureSet.default()
    for address in ROLLUP_FEATURES.values():
        found.activate(Pubkey.from_string(address), 0)
    return found


def virtual_machine(cluster: Cluster, cu_limit: int = TRANSACTION_BUDGET, meter: bool = False) -> LiteSVM:
    """A fresh LiteSVM with a cluster's features, transactions of at most so many compute units, and the system call of
    metering programs if they are to run."""
    active = features(cluster)
    if meter:
        active.activate(METER_FEATURE, 0)
    budget = ComputeBudget(active.is_active(DEEPER_CALLS))
    budget.compute_unit_limit = cu_limit
    # Which system calls there are is settled when the built-in programs are put in place.
    return LiteSVM().with_feature_set(active).with_builtins().with_compute_budget(budget)
