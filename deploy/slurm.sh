#!/usr/bin/env bash
# Workers as a Slurm array: sbatch --array=0-49 deploy/slurm.sh RUN tls://nats.example:4222 [OPTIONS OF fleetsim worker...]
#
# The number of the slice is in SLURM_ARRAY_TASK_ID. Each worker's results folder is worker-INDEX in the folder that the array was submitted
# from. The leader gets the results over NATS; `fleetsim merge` makes one run of the folders where the leader is gone.
#SBATCH --job-name=fleetsim
#SBATCH --cpus-per-task=1
#SBATCH --no-requeue
#SBATCH --output=worker-%a.log
# A worker drains before it ends.
#SBATCH --signal=B:TERM@60
set -euo pipefail
run=$1 over=$2
shift 2
ulimit -n "$(ulimit -Hn)"
exec "${FLEETSIM:-fleetsim}" worker --over "$over" --run "$run" --out "worker-$SLURM_ARRAY_TASK_ID" --shards "${SLURM_CPUS_PER_TASK:-1}" "$@"
