#!/usr/bin/env bash
# The best subgrid network of about 100,000 parameters against the literature on all of Fashion-MNIST, over five seeds.
# Needs a GPU. The table goes to runs/records/ (docs/log.md lists this as open): bash benchmarks/compare.sh
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p runs/records
nas search --space subgrid --data fashion-mnist --min-params 90000 --max-params 100000 --trials 32 --epochs 20 \
    --device cuda --run fashion-100k
compare="nas compare fashion-100k --against mixer,resmlp,gmlp,vip,raft,dynamixer --seeds 5 --device cuda"
{ echo "$compare"; $compare; } | tee runs/records/compare-fashion-100k.txt
$compare --json > runs/records/compare-fashion-100k.jsonl
