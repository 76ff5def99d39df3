#!/usr/bin/env bash
# Writes a session, as it stands on the rollup, to the base chain, and waits until it is there.
#
#   scripts/devnet/commit.sh [NUMBER] [more options, say --yes]
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")

exec wmq session commit "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "${1:-0}" "${@:2}"
