#!/usr/bin/env bash
# Deploys a built export, and compares what is on chain with it. Interrupted, run it again: it goes on where it stopped.
#
#   scripts/devnet/deploy.sh [--dry-run] [--final | --upgradeable] [--yes]
#
# To give up and get the rent back: wmq deploy abort, with the same cluster and keypair.
set -euo pipefail

WHERE=("${WMQ_EXPORT:-export}" --cluster "${WMQ_CLUSTER:-devnet}" --keypair "${WMQ_KEYPAIR:-payer.json}")

wmq deploy run "${WHERE[@]}" "$@"
[[ " $* " == *" --dry-run "* ]] && exit
[[ " $* " == *" --upgradeable "* ]] && WHERE+=(--allow-upgradeable)
wmq deploy verify "${WHERE[@]}"
