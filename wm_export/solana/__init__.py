"""Solana programs: weight blob, account layout, generated Rust, build, metering and execution."""
