#!/usr/bin/env bash
# Deploys a built export, and compares what is on chain with it. Interrupted, run it again: it goes on where it stopped.
#
#   scripts/devnet/deploy.sh [--dry-run] [--max-sol SOL] [--final | --upgradeable] [--yes]
#
# What it costs before anything is trained: wmq deploy rent. To give up and get the rent back: wmq deploy abort, with the
# same cluster and keypair.
set -euo pipefail

WHERE=("${WMQ_EXPORT:-export}" --cluster "${WMQ_CLUSTER:-devnet}" --keypair "${WMQ_KEYPAIR:-payer.json}")

wmq deploy run "${WHERE[@]}" "$@"
[[ " $* " == *" --dry-run "* ]] && exit
# Which of both it is may have been said at the terminal; the deployment has checked it.
[[ " $* " == *" --final "* ]] || WHERE+=(--allow-upgradeable)
wmq deploy verify "${WHERE[@]}"
