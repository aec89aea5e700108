#!/usr/bin/env bash
# Makes the presets of the study "tuned" and runs it, from the root of a checkout: two to three hours on two cores. What is
# finished is not made again, so that it can be stopped at any time.
set -euo pipefail
export OMP_NUM_THREADS=1
saccade=${SACCADE:-saccade}
out=studies/results/tuned

collect() {  # MODEL, then options
  local model=$1; shift
  $saccade traces collect -m "embedded/$model" --commit 0.4,0.6,0.8,0.95 --out "runs/traces/$model" "$@"
}
from_scratch="--keep 0.75,0.5,0.25 --at 0,0.25,0.5"
from_ar="--keep 0.75,0.5 --skip 4,5 --skip 5 --at 0,0.25"
collect llada-v $from_scratch --task code --task transcribe -n 150
collect llada-v $from_scratch --task describe -n 136
collect lavida-dream $from_ar --task code --task transcribe -n 150
collect lavida-dream $from_ar --task describe -n 60

for model in llada-v lavida-dream; do
  learned=runs/learned/$model
  [ -e "$learned/report.json" ] || $saccade learn "runs/traces/$model" -o "$learned"
  mkdir -p "$out/embedded/$model"
  for risk in 1 5 20; do
    file=$out/embedded/$model/learned-$risk.json
    [ -e "$file" ] || $saccade presets make -m "embedded/$model" --task transcribe --samples 60 --out "$file" \
      --policy "learned(file='$learned/learned.json', risk=$(printf '0.%02d' $risk))"
  done
  for kind in yesno digit code transcribe describe; do
    run=runs/searches/embedded/$model/$kind own=$out/embedded/$model/$kind
    mkdir -p "$own"
    $saccade tune run one-kind --workers 1 --model "embedded/$model" --task "$kind" --out "$run"
    cp "$run/preset.json" "$own/tuned.json"
    cp "$run/result.json" "$own/result.json"
    [ -e "$own/certified.json" ] || $saccade certify "$run" --max-change 5% --confidence 90% --out "$own/certified.json"
  done
done

$saccade study run tuned --jobs 2
$saccade study hindsight runs/tuned
