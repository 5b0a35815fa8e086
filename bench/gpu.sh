#!/usr/bin/env bash
# Proves and measures the CUDA path in one command.
#
#   bench/gpu.sh            with the .NET SDK: publishes self-contained binaries to artifacts/gpu.tar.xz;
#                           then, on this machine's GPU if it has one, checks and measures.
#
# A machine with a GPU and no .NET needs this tree and artifacts/gpu.tar.xz (together under 60 MiB), and runs the same
# command. Results go to bench/results/<gpu>/<date>/report.md with its pictures, or to the folder that $RESULTS names.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
archive=$root/artifacts/gpu.tar.xz
folder=${TMPDIR:-/tmp}/qwenilgpu-gpu-$(id -u)
budget_s=${BUDGET_S:-540}
started=$SECONDS
failures=0

say() { printf '== %s\n' "$*"; }
fail() { printf '!! %s\n' "$*"; failures=$((failures + 1)); }
left() { echo $((budget_s - (SECONDS - started))); }

publish() {
    say "publishing self-contained binaries (linux-x64, one folder, one runtime)"
    rm -rf "$folder" && mkdir -p "$folder" "$(dirname "$archive")"
    local project
    for project in tests/QwenIlgpu.Kernels.Tests tests/QwenIlgpu.Cuda.Tests tests/QwenIlgpu.Tests bench/QwenIlgpu.Bench src/QwenIlgpu.Cli; do
        dotnet publish -c Release -r linux-x64 --self-contained -o "$folder" "$project" --nologo -v quiet || return 1
    done
    # What the tree holds already, and what only BenchmarkDotNet's other toolchains and debuggers need.
    (cd "$folder" && rm -rf models data ./*.pdb Microsoft.CodeAnalysis*.dll Microsoft.Diagnostics.*.dll libcapstone.so Gee.External.Capstone.dll \
        Iced.dll libmscordbi.so libmscordaccore.so createdump libclrgcexp.so libclrgc.so libcoreclrtraceptprovider.so Microsoft.VisualBasic*.dll System.Private.DataContractSerialization.dll)
    tar -C "$folder" -c . | xz -9e -T2 >"$archive" || return 1
    say "$(du -h "$archive" | cut -f1) in ${archive#"$root"/}"
}

unpack() {
    rm -rf "$folder" && mkdir -p "$folder"
    tar -C "$folder" -xJf "$archive" 2>/dev/null || python3 -m tarfile -e "$archive" "$folder" || return 1
    chmod +x "$folder"/qwen "$folder"/QwenIlgpu.*Tests "$folder"/QwenIlgpu.Bench
    mkdir -p "$folder/models" "$folder/data"
    cp -r src/QwenIlgpu.Cli/models/. "$folder/models/"
    cp -r tests/data/. "$folder/data/"
    cp README.md tests/QwenIlgpu.Tests/ReadmeSample.cs bench/results/launches-27b.md bench/results/predicted/prefill-27b.md "$folder/data/"
}

# run NAME SECONDS COMMAND…: a step with a limit of its own, its log beside the results.
run() {
    local name=$1 limit=$2
    shift 2
    [ "$(left)" -gt 10 ] || { fail "$name: no time left of $budget_s s"; return 1; }
    [ "$limit" -lt "$(left)" ] || limit=$(left)
    say "$name"
    local start=$SECONDS
    timeout "$limit" "$@" >"$logs/$name.log" 2>&1
    local code=$?
    if [ "$code" -eq 0 ]; then
        tail -n 6 "$logs/$name.log"
        say "$name: passed in $((SECONDS - start)) s"
    else
        tail -n 40 "$logs/$name.log"
        fail "$name: exit code $code after $((SECONDS - start)) s"
    fi
}

# run_json NAME SECONDS COMMAND…: a step whose standard output is its result. An empty one is no result and must not be reported.
run_json() {
    local name=$1
    run "$name" "$2" bash -c 'out=$1; shift; "$@" >"$out" || { rm -f "$out"; exit 1; }' - "$logs/$name.json" "${@:3}"
}

if command -v dotnet >/dev/null; then
    publish || { fail "publish"; exit 1; }
elif [ ! -f "$archive" ]; then
    echo "neither the .NET SDK nor ${archive#"$root"/} is here: run bench/gpu.sh on a machine with the SDK first" >&2
    exit 1
fi

unpack || { fail "unpacking ${archive#"$root"/}"; exit 1; }
started=$SECONDS

if ! "$folder/qwen" doctor --json 2>/dev/null | grep -q '"kind":"cuda:[0-9]*"[^}]*"state":"works"'; then
    "$folder/qwen" doctor 2>/dev/null | sed -n '/why no gpu/p'
    say "no usable GPU: the binaries start here, every check and measurement on CUDA is skipped"
    "$folder/qwen" generate "What is the capital of Norway?" --device cpu --greedy --no-thinking 2>/dev/null | grep -q Oslo || fail "the published command line does not answer"
    "$folder/QwenIlgpu.Kernels.Tests" --filter "FullyQualifiedName~RmsNorm" >/dev/null || fail "the published tests do not run"
    "$folder/QwenIlgpu.Bench" --smoke gather_rows >/dev/null || fail "the published benchmarks do not run"
    [ "$failures" -eq 0 ] && say "done"
    exit "$failures"
fi

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-*$//')
results=${RESULTS:-$root/bench/results/${gpu:-unknown-gpu}}
logs=$results/logs
mkdir -p "$logs"
rm -f "$logs"/*.json
stamp=$(date -u +%Y-%m-%d)
commit=$(git rev-parse --short HEAD 2>/dev/null || cat .commit 2>/dev/null || echo unknown)

run doctor 60 "$folder/qwen" doctor --device cuda

# The kernel tests on the PTX machine, then on the GPU, and what they left side by side. A first difference is worth more than a timing.
tests="$folder/QwenIlgpu.Kernels.Tests"
rm -f "$logs/outputs" "$logs/outputs.md"
run machine-outputs 200 "$tests" --test-parameter "outputs=write:$logs/outputs"
run gpu-outputs 120 "$tests" --test-parameter device=cuda --test-parameter "outputs=compare:$logs/outputs"
if [ -s "$logs/outputs.md" ]; then
    mkdir -p "$results/$stamp"
    mv "$logs/outputs.md" "$results/$stamp/machine.md"
    wrong=$(sed -n 's/^| \*\*all\*\* | [0-9]* | [0-9]* | \([0-9]*\) |.*/\1/p' "$results/$stamp/machine.md")
    [ "$wrong" = 0 ] || fail "$wrong outputs differ from the machine's and may not: ${results#"$root"/}/$stamp/machine.md"
else
    fail "the GPU's outputs were not compared with the machine's"
fi
rm -f "$logs/outputs"

run kernel-tests 240 "$tests" --exhaustive --test-parameter device=cuda
run engine-tests 120 "$folder/QwenIlgpu.Cuda.Tests" --exhaustive --test-parameter device=cuda --filter "FullyQualifiedName~Engine"
run golden-tests 180 "$folder/QwenIlgpu.Tests" --exhaustive --test-parameter device=cuda \
    --filter "FullyQualifiedName~Golden|FullyQualifiedName~PathEquality|FullyQualifiedName~EngineTests|FullyQualifiedName~OtherShapes"
run answer 60 "$folder/qwen" generate "What is the capital of Norway?" --device cuda --greedy --no-thinking
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck initcheck racecheck; do
        run "sanitizer-$tool" 90 compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" --test-parameter device=cuda \
            --filter "FullyQualifiedName~MatMulTests|FullyQualifiedName~AttentionTests|FullyQualifiedName~DeltaPrefill|FullyQualifiedName~DeltaStep|FullyQualifiedName~SamplingTests|FullyQualifiedName~RmsNorm"
    done
else
    say "compute-sanitizer is not here: memory, initialisation and race checks skipped"
fi
run ceilings 60 "$folder/QwenIlgpu.Bench" --device cuda --json "$logs/ceilings.json" ceiling_read ceiling_copy
run peers 120 python3 bench/peers.py --model src/QwenIlgpu.Cli/models/tiny-qwen3.6 --golden tests/data/golden --output "$logs/peers.json"
run kernels 180 "$folder/QwenIlgpu.Bench" --device cuda --json "$logs/kernels.json"
run_json decode 60 "$folder/qwen" bench --device cuda --json
run_json decode-without-graphs 60 "$folder/qwen" bench --device cuda --no-graphs --json
run_json synthetic-27b 120 "$folder/qwen" bench --device cuda --synthetic 27b --quantize-head int8 --contexts 512,2048,8192,32768 --nodes --json

run report 60 "$folder/QwenIlgpu.Bench" report "$logs" --output "$results/$stamp" --title "${gpu:-unknown GPU}, commit $commit, \`bench/gpu.sh\`"
run alternation 60 "$folder/qwen" bench --device cuda --synthetic 27b --quantize-head int8 --contexts 2048,8192 --skip-prefill --decode-tokens 1 --decoding 8 --json
run tune 90 "$folder/qwen" bench --device cuda --tune --synthetic 27b --quantize-head int8 --output "$results/$stamp/tiles"
say "results in ${results#"$root"/}/$stamp/report.md; $failures failure(s); $((SECONDS - started)) s"
exit "$failures"
