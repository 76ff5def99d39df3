#!/usr/bin/env bash
# SOL for the payer from the cluster's faucet; makes the payer's keypair if there is none.
#
#   scripts/devnet/fund.sh [SOL]
#
# Devnet gives a few SOL a day, and rent is 7 SOL for each MB of weights (wmq deploy rent says how much): for a large world
# ask again on other days, or use https://faucet.solana.com. WMQ_CLUSTER=localnet gives any amount.
set -euo pipefail

exec wmq fund --cluster "${WMQ_CLUSTER:-devnet}" --keypair "${WMQ_KEYPAIR:-payer.json}" --sol "${1:-2}"
