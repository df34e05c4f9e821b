#!/usr/bin/env bash
# Measures one GPU, in under eight minutes: bash benchmarks/gpu.sh FOLDER [--dry-run]
#
# FOLDER gets a JSON file for each part, and all that was printed in log.txt. What it needs: Python
# 3.12 or later with jax[cuda12] or jax[cuda13], flax, optax, orbax-checkpoint, jaxtyping, rich and
# scipy. It exits with 1 where a part failed, after all the others. --dry-run does the same on small
# data on whatever jax finds, in two minutes on two CPU cores.
set -uo pipefail
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:?where the figures go: bash benchmarks/gpu.sh FOLDER [--dry-run]}")
python=${PYTHON:-python3}
small=${2:-}
if [ -n "$small" ] && [ "$small" != --dry-run ]; then
  echo "gpu.sh: '$small' is not --dry-run" >&2
  exit 2
fi
mkdir -p "$out"
: > "$out/log.txt"
failed=0

part() { # part NAME MODULE [ARGUMENT...]
  local name=$1 started=$SECONDS
  shift
  if "$python" -m "$@" --json "$out/$name.json" >> "$out/log.txt" 2>&1; then
    echo "$name: $((SECONDS - started)) s"
  else
    echo "$name: failed, see $out/log.txt"
    failed=1
  fi
}

if [ "$small" = --dry-run ]; then
  shape=demo golden=mmssl_released_a kernels=(--square 512 --repeats 1) repeats=(--repeats 1)
else
  shape=tiktok golden=mmssl_released_ kernels=() repeats=(--repeats 5)
fi

step() { # step NAME SHAPE [ARGUMENT...]: without the dense formulation, with the critic alone
  part "step-$1" benchmarks.step --shape "$2" --skip-dense --critic-only "${repeats[@]}" "${@:3}"
}

part kernels benchmarks.kernels --shape $shape "${kernels[@]}"
part step-$shape benchmarks.step --shape $shape "${repeats[@]}"
part spmm-$shape benchmarks.spmm --shape $shape "${repeats[@]}"
part parity benchmarks.parity --files $golden
if [ $shape = tiktok ]; then
  step tiktok-bfloat16 tiktok --precision bfloat16
  JAX_DEFAULT_MATMUL_PRECISION=tensorfloat32 step tiktok-tensorfloat32 tiktok
  step baby baby
  step sports sports
  part spmm-sports benchmarks.spmm --shape sports "${repeats[@]}"
fi
part epochs-$shape benchmarks.epochs --shape $shape --models lightgcn,hybrid,lattice "${repeats[@]}"
exit $failed
