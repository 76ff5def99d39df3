"""A base chain on loopback: LiteSVM behind the JSON-RPC and WebSocket interface of a Solana node."""
