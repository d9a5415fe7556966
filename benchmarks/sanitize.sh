#!/usr/bin/env bash
# The compiled kernel under the address and undefined-behaviour sanitizers, over nasty lengths, rates
# and contents, in one thread and in two. Exits with 1 at any finding. PYTHON: which one to run with.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
cxx=${CXX:-g++}

if ! command -v "$cxx" >/dev/null; then
  echo "sanitize.sh: no C++ compiler ($cxx), nothing to check"
  exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$cxx" -std=c++17 -O1 -g -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-psabi -Wall -Wextra \
  -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -shared -fPIC \
  edaemo/decomposition/_kernel.cpp edaemo/decomposition/_kernel_avx2.cpp -o "$out/kernel.so"

# Python itself leaks on purpose; what the kernel works in is given to it, so it has nothing to leak.
LD_PRELOAD="$("$cxx" -print-file-name=libasan.so) $("$cxx" -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc "$python" benchmarks/sanitize.py "$out/kernel.so"
