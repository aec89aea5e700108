#!/usr/bin/env bash
# Makes the presets of the study "tuned" and runs it, from the root of a checkout: some two hours on two cores. What is
# finished is not made again, so that it can be stopped at any time.
set -euo pipefail
export OMP_NUM_THREADS=1
saccade=${SACCADE:-saccade}
out=studies/results/tuned

collect() {  # MODEL, then options
  local model=$1; shift
  $saccade traces collect -m "embedded/$model" --commit 0.4,0.6,0.8,0.95 --out "runs/traces/$model" "$@"
}

traces() {  # MODEL: fewer of the long answers, each of which takes up to half a minute
  case $1 in
    llada-v)
      local actions="--keep 0.75,0.5,0.25 --at 0,0.25,0.5"
      collect "$1" $actions --task code --task transcribe -n 150
      collect "$1" $actions --task describe -n 136 ;;
    lavida-dream)
      local actions="--keep 0.75,0.5 --skip 4,5 --skip 5 --at 0,0.25"
      collect "$1" $actions --task code --task transcribe -n 150
      collect "$1" $actions --task describe -n 60 ;;
  esac
}

learned() {  # MODEL
  local folder=runs/learned/$1 own=$out/embedded/$1
  [ -e "$folder/report.json" ] || $saccade learn "runs/traces/$1" -o "$folder"
  mkdir -p "$own"
  cp "$folder/report.json" "$own/learned-report.json"
  for risk in 01 05 20; do
    [ -e "$own/learned-$risk.json" ] || $saccade presets make -m "embedded/$1" --task transcribe --samples 60 \
      --out "$own/learned-$risk.json" --policy "learned(file='$folder/learned.json', risk=0.$risk)"
  done
}

searched() {  # MODEL
  for kind in yesno digit code transcribe describe; do
    local run=runs/searches/embedded/$1/$kind own=$out/embedded/$1/$kind
    mkdir -p "$own"
    $saccade tune run one-kind --workers 1 --model "embedded/$1" --task "$kind" --out "$run"
    cp "$run/preset.json" "$own/tuned.json"
    cp "$run/result.json" "$own/result.json"
    [ -e "$own/certified.json" ] || \
      $saccade certify "$run" --max-change 5% --confidence 90% --out "$own/certified.json"
  done
}

if [ $# -gt 0 ]; then  # one model, or a part of what it takes
  for part in ${2:-traces learned searched}; do $part "$1"; done
  exit
fi
"$0" llada-v &
"$0" lavida-dream
wait $!
$saccade study run tuned --jobs 2
$saccade study hindsight runs/tuned
