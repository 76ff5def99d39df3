#!/usr/bin/env bash
# Plays a session that session.sh has made: 60 frames a second, each computed by the program on the rollup.
#
#   scripts/devnet/play.sh [NUMBER] [wmq play's own options, say --frames 3600]
set -euo pipefail

readonly WHERE=(--cluster "${WMQ_CLUSTER:-devnet}" --rollup "${WMQ_ROLLUP:-https://devnet.magicblock.app}")
readonly NUMBER=${1:-0}

exec wmq play "${WMQ_EXPORT:-export}" "${WHERE[@]}" --keypair "${WMQ_KEYPAIR:-payer.json}" --id "$NUMBER" "${@:2}"
