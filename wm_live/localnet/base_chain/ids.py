"""What every cluster has: programs, owners of accounts, the size of a packet."""

from solders.pubkey import Pubkey

SYSVAR_OWNER = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")
LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
#: Most bytes of a transaction.
PACKET_BYTES = 1_232
