#!/usr/bin/env bash
# A search on the nodes of one SLURM job: sbatch docs/cluster/slurm.sh --space subgrid --run big
# What it is given goes to `nas search`. Submitted again (or requeued), the same command goes on where it stopped.
#SBATCH --job-name=nas
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --exclusive
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=nas-%j.txt
set -euo pipefail

# the token is in a file that only you can read, in a folder that all nodes see
umask 077
private=$(mktemp -d "$HOME/.nas-ray-XXXXXX")
cleanup() {
    trap '' TERM INT
    [ -z "${search:-}" ] || kill "$search" 2> /dev/null || true
    # shellcheck disable=SC2046 # one process an argument
    kill $(jobs -p) 2> /dev/null || true
    wait || true
    srun rm -rf "$RAY_TMPDIR" || true
    rm -rf "$private"
}
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$private/token" RAY_USAGE_STATS_ENABLED=0
export RAY_TMPDIR="/tmp/nas-$SLURM_JOB_ID" # of each node; the paths of its sockets must be short
trap cleanup EXIT
trap 'exit 143' TERM INT
python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"

head=$(hostname --ip-address | cut -d' ' -f1) # where the other nodes reach this one
node="--num-cpus=$SLURM_CPUS_PER_TASK --num-gpus=${SLURM_GPUS_ON_NODE:-0} --block"

# shellcheck disable=SC2086 # several options
ray start --head --node-ip-address="$head" --port=6379 --dashboard-host=127.0.0.1 $node &
until ray status --address="$head:6379" > /dev/null 2>&1; do
    kill -0 $! # else the head has ended
    sleep 1
done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    # shellcheck disable=SC2086
    srun --nodes="$others" --ntasks="$others" --exclude="$(hostname)" --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        ray start --address="$head:6379" $node &
fi

nas search --ray "$head:6379" "$@" &
search=$!
wait "$search"
