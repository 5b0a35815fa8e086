#!/usr/bin/env bash
# Measures this engine's CPU path and llama.cpp's in turn on this machine; README.md says what is compared.
#
#   bench/peers-cpu/run.sh [--shapes tiny,0.8b,4b] [--threads 1,all] [--passes 7] [--tiny DIR] [--output DIR] [--repeats 1]
#                          [--limit-s 300] [--budget-s 0]
#
# Needs the .NET SDK, node 20 or later, npm, and once a package registry. Everything it fetches or writes beside the
# results lies in ~/.cache/qwenilgpu/peers-cpu.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qwenilgpu/peers-cpu
release=3.22.1
shapes=tiny,0.8b,4b

say() { printf '== %s\n' "$*" >&2; }
missing() { printf '%s\n' "$*" >&2; exit 1; }

# npm's names of the CPU builds; elsewhere npm chooses among them.
build_of_machine() {
    case "$(uname -s) $(uname -m)" in
        'Linux x86_64') echo "@node-llama-cpp/linux-x64@$release" ;;
        'Linux aarch64') echo "@node-llama-cpp/linux-arm64@$release" ;;
        'Darwin arm64') echo "@node-llama-cpp/mac-arm64-metal@$release" ;;
        'Darwin x86_64') echo "@node-llama-cpp/mac-x64@$release" ;;
    esac
}

install_peer() {
    [ -f "$cache/node_modules/node-llama-cpp/dist/index.js" ] && return
    command -v npm >/dev/null || missing 'npm is not there: llama.cpp comes with the npm package node-llama-cpp; install node 20 or later with npm'
    say "installing node-llama-cpp $release into $cache"
    mkdir -p "$cache"
    printf '{"private":true}\n' >"$cache/package.json"
    local build omit=()
    build=$(build_of_machine)
    [ -n "$build" ] && omit=(--omit=optional "$build")
    npm install --prefix "$cache" --ignore-scripts --no-audit --no-fund "${omit[@]}" "node-llama-cpp@$release" >&2 \
        || missing "npm could not install node-llama-cpp $release; is a package registry reachable?"
}

write_shapes() {
    local shape file
    mkdir -p "$cache/gguf"
    for shape in ${shapes//,/ }; do
        file=$cache/gguf/$shape-q4_0.gguf
        [ "$shape" = tiny ] || [ -f "$file" ] && continue
        say "writing $file"
        "$root/bench/QwenIlgpu.Bench/bin/Release/net10.0/QwenIlgpu.Bench" gguf --shape "$shape" --type q4_0 --output "$file" >&2
    done
}

arguments=("$@")
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || missing "$1 needs a value; $0 says in its head which options there are"
    [ "$1" = --shapes ] && shapes=$2
    shift 2
done

command -v node >/dev/null || missing 'node is not there: install node 20 or later with npm'
command -v dotnet >/dev/null || missing 'dotnet is not there: install the .NET SDK that global.json names'
install_peer
say 'building'
for project in src/QwenIlgpu.Cli bench/QwenIlgpu.Bench; do
    dotnet build -c Release "$root/$project" --nologo -v quiet >&2
done
write_shapes
exec node "$here/measure.mjs" --cache "$cache" "${arguments[@]}"
