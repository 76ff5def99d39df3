"""A client of a Solana cluster: RPC, keypairs, addresses, transactions."""
