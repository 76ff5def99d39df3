#!/usr/bin/env bash
# Makes a session on the base chain, with both players' seats taken, and hands it to the rollup.
#
#   scripts/devnet/session.sh [NUMBER] [more options, say --yes]
#
# WMQ_ROLLUP is the rollup's node; on a localnet it is known.
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")

exec wmq session open "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "${1:-0}" "${@:2}"
