#!/usr/bin/env bash
# Returns the rent of a session, which is ended first where it has not (end.sh).
#
#   scripts/devnet/close.sh [NUMBER] [more options, say --yes]
#
# From then on nobody can dispute a frame of it.
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")

exec wmq session close "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "${1:-0}" "${@:2}"
