"""Numbers of the interface that no world changes: versions, sizes of an upload, limits of the chain."""

#: Version in every account's header.
ACCOUNT_VERSION = 3
#: Most compute units of one transaction.
TRANSACTION_BUDGET = 1_400_000
#: Levels of a session's hash tree: 2^24 leaves are 77 hours at 60 frames a second.
TREE_LEVELS = 24
#: Ids that a session has room for; those that a world has no table for are zero.
SESSION_IDS = 4
#: Bytes of blob in one upload transaction; small enough for a priority fee's two instructions beside it.
CHUNK_BYTES = 960
#: Bytes of blob hashed at a time: digest = sha256(digest, piece), from 32 zero bytes on.
PIECE_BYTES = 256 * 1024
#: Bytes of memory in one transaction that loads it: less than a chunk of blob, for such a one names an account more.
MEMORY_CHUNK_BYTES = 896
#: Frames that a player's input may come early.
LOOKAHEAD = 8
#: When a session key expires that never does: for players who sign with their wallet's own key.
NEVER = 2**63 - 1
#: What an account may grow by in one instruction, bytes.
GROWTH = 10_240
#: A session account must be small enough to be delegated to a rollup, bytes.
SESSION_MAX = 10_240
#: Largest Solana account, bytes.
ACCOUNT_MAX = 10 * 1024 * 1024
#: Most model accounts of a program: a transaction may load 64 MiB of accounts, and loads the program as well.
SHARDS_MAX = 6
