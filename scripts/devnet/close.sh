#!/usr/bin/env bash
# Ends a session: back from the rollup to the base chain, then closed, and its rent returned.
#
#   scripts/devnet/close.sh [NUMBER]
#
# From then on nobody can dispute a frame of it.
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")

exec wmq session close "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "${1:-0}"
