#!/usr/bin/env bash
# Ends a session: all of it back from the rollup to the base chain.
#
#   scripts/devnet/end.sh [NUMBER] [more options, say --yes]
#
# Every frame of it can be disputed then, until close.sh returns its rent.
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")

exec wmq session end "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "${1:-0}" "${@:2}"
