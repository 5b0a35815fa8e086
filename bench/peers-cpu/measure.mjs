// Runs llama.cpp and this engine in turn on the CPU and writes what came out; run.sh prepares everything and calls this.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bytesPerToken } from "./gguf.mjs";
import { page, picture, summary } from "./report.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const qwen = join(root, "src/QwenIlgpu.Cli/bin/Release/net10.0/qwen");
const MOST_STREAM_CHANGE = 0.15;
const MOST_FAILURES = 2;

const defaults = { shapes: "tiny,0.8b,4b", threads: "1,all", passes: "7", tiny: "", output: "", repeats: "1", "limit-s": "300", "budget-s": "0", cache: "" };
const options = readOptions(process.argv.slice(2));
const limit = { timeout: Number(options["limit-s"]) * 1e3, killSignal: "SIGKILL", maxBuffer: 1 << 26 };
const started = performance.now();
const isOverBudget = () => options["budget-s"] !== "0" && performance.now() - started > Number(options["budget-s"]) * 1e3;
const say = text => process.stderr.write(`== ${text}\n`);

function readOptions(words) {
    const read = { ...defaults };
    for (let i = 0; i < words.length; i += 2) {
        const name = words[i].replace(/^--/, "");
        if (!(name in defaults))
            stop(`there is no option ${words[i]}; there are ${Object.keys(defaults).map(o => `--${o}`).join(", ")}`);
        read[name] = words[i + 1];
    }
    for (const name of ["passes", "repeats", "limit-s", "budget-s"]) {
        if (!/^\d+$/.test(read[name]))
            stop(`--${name} is '${read[name]}'; it must be a whole number`);
    }
    return read;
}

function stop(text) {
    process.stderr.write(`${text}\n`);
    process.exit(2);
}

async function json(file, words) {
    const { stdout } = await promisify(execFile)(file, words, limit);
    return JSON.parse(stdout.trim().split("\n").at(-1));
}

const doctor = threads => json(qwen, ["doctor", "--device", "cpu", "--threads", String(threads), "--json"]);
const streamRead = async threads => (await doctor(threads)).cpu.read_gb_per_s;

const median = values => {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length === 0 ? null : sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// What is compared: a file for llama.cpp, the same shape for ours, how long.
function pairs() {
    const found = [];
    const left = [];
    for (const shape of options.shapes.split(",")) {
        if (shape !== "tiny") {
            found.push(synthetic(shape));
            continue;
        }
        for (const [peerFormat, ourFormat, file, folder] of [
            ["Q4_0", "GPTQ INT4 g128", "gguf/tiny-qwen3.6-q4_0.gguf", "tiny-qwen3.6-gptq-int4"],
            ["Q8_0", "bf16", "gguf/tiny-qwen3.6-q8_0.gguf", "tiny-qwen3.6"],
        ]) {
            const [peer, ours] = [join(options.tiny, file), join(options.tiny, folder)];
            if (options.tiny !== "" && existsSync(peer) && existsSync(ours))
                found.push(tiny(peerFormat, ourFormat, peer, ours));
            else
                left.push(`tiny, ${ourFormat} against ${peerFormat}: ${options.tiny === "" ? "no --tiny DIR was given" : `${file} or ${folder} is not in the folder that --tiny names`}`);
        }
    }
    return { found, left };
}

const synthetic = shape => ({
    model: `synthetic ${shape}`, peerFormat: "Q4_0, head Q8_0", ourFormat: "INT4 g128, head INT8", promptTokens: 512, decodeTokens: 64,
    peer: { file: join(options.cache, "gguf", `${shape}-q4_0.gguf`), runs: 1, parts: 5 },
    words: ["--synthetic", shape, "--quantize-head", "int8", "--contexts", "512"],
    read: report => {
        if (report.cut !== null)
            throw new Error(report.cut);
        const at = report.contexts[0];
        return { prefill: at.prefill_tokens_per_second, decode: at.decode_tokens_per_second, bytes: at.bytes_per_token };
    },
});

const tiny = (peerFormat, ourFormat, peer, ours) => ({
    model: "tiny trained", peerFormat, ourFormat, promptTokens: 128, decodeTokens: 64,
    peer: { file: peer, runs: 5, parts: 1 },
    words: ["--model", ours, "--runs", "5", "--prompt-tokens", "128"],
    read: report => ({ prefill: report.prefill_tokens_per_second.median, decode: report.decode_tokens_per_second.median, bytes: null }),
});

async function measurePeer(pair, threads) {
    const { promptTokens, decodeTokens } = pair;
    const result = await json(process.execPath, [join(here, "llama.mjs"), JSON.stringify({ cache: options.cache, ...pair.peer, threads, promptTokens, decodeTokens })]);
    if (result.threads !== threads)
        throw new Error(`llama.cpp took ${result.threads} threads, not ${threads}`);
    return { prefill: median(result.prefill), decode: median(result.decode), about: { release: result.release, system: result.system, flashAttention: result.flashAttention } };
}

async function measureOurs(pair, threads) {
    return pair.read(await json(qwen, ["bench", "--device", "cpu", "--threads", String(threads), ...pair.words, "--decode-tokens", String(pair.decodeTokens), "--json"]));
}

// All passes of one pair; which side goes first alternates. A pass counts only where both sides came through.
async function block(pair, threads) {
    const streamBefore = await streamRead(threads);
    const loadBefore = loadavg()[0];
    const passes = [];
    const failures = [];
    for (let pass = 0; pass < Number(options.passes) && failures.length < MOST_FAILURES && !isOverBudget(); pass++) {
        const sides = [["peer", measurePeer], ["ours", measureOurs]];
        const result = {};
        try {
            for (const [name, measure] of pass % 2 === 0 ? sides : sides.reverse())
                result[name] = await measure(pair, threads);
            passes.push(result);
            say(`${pair.model}, ${threads} thread(s), pass ${pass + 1}: decode ${result.ours.decode.toFixed(1)} against ${result.peer.decode.toFixed(1)}, `
                + `prefill ${result.ours.prefill.toFixed(1)} against ${result.peer.prefill.toFixed(1)}`);
        } catch (error) {
            const which = result.peer && !result.ours ? "ours" : result.ours && !result.peer ? "llama.cpp" : pass % 2 === 0 ? "llama.cpp" : "ours";
            failures.push(`pass ${pass + 1}, ${which}: ${error.killed ? `not done in ${options["limit-s"]} s` : String(error.stderr || error.message).trim().split("\n").at(-1)}`);
            say(failures.at(-1));
        }
    }
    const streamAfter = await streamRead(threads);
    return {
        model: pair.model, peer_format: pair.peerFormat, our_format: pair.ourFormat, threads, prompt_tokens: pair.promptTokens, decode_tokens: pair.decodeTokens,
        stream_gb_per_s: [streamBefore, streamAfter], load_average: [loadBefore, loadavg()[0]].map(l => Math.round(l * 100) / 100),
        stream_change: Math.abs(streamAfter - streamBefore) / Math.max(streamAfter, streamBefore), failures,
        about: passes[0]?.peer.about, prefill: rates(passes, "prefill"), decode: rates(passes, "decode", { ours: passes[0]?.ours.bytes, peer: bytesOfPeer(pair) }),
    };
}

// The trained tiny model stays in the caches: bytes from memory say nothing about it.
const bytesOfPeer = pair => pair.peer.runs > 1 ? null : bytesPerToken(pair.peer.file, pair.promptTokens + pair.decodeTokens / 2).total;

function rates(passes, stage, bytes) {
    const [ours, peer] = ["ours", "peer"].map(side => passes.map(p => p[side][stage]));
    const ratios = ours.map((rate, i) => rate / peer[i]);
    const side = (all, moved) => ({ tokens_per_second: median(all), all, ...(moved ? { bytes_per_token: moved, gb_per_s: median(all) * moved / 1e9 } : {}) });
    return {
        ours: side(ours, bytes?.ours), peer: side(peer, bytes?.peer),
        ratio: passes.length === 0 ? null : median(ours) / median(peer), ratio_min: passes.length === 0 ? null : Math.min(...ratios), ratio_max: passes.length === 0 ? null : Math.max(...ratios),
    };
}

async function steadyBlock(pair, threads) {
    let best = await block(pair, threads);
    for (let repeat = 0; best.stream_change > MOST_STREAM_CHANGE && repeat < Number(options.repeats) && !isOverBudget(); repeat++) {
        say(`the stream read changed by ${(best.stream_change * 100).toFixed(0)} %: once more`);
        const again = await block(pair, threads);
        best = { ...(again.stream_change < best.stream_change && again.prefill.ratio !== null ? again : best), repeated: true };
    }
    return { ...best, unsteady: best.stream_change > MOST_STREAM_CHANGE };
}

const release = JSON.parse(readFileSync(join(options.cache, "node_modules/node-llama-cpp/package.json"), "utf8")).version;
const git = (...words) => execFileSync("git", ["-C", root, ...words], { encoding: "utf8" }).trim();

const about = await doctor(0);
const cores = about.cpu.physical_cores;
const threadCounts = [...new Set(options.threads.split(",").map(t => t === "all" ? cores : Number(t)))];
if (!threadCounts.every(t => Number.isInteger(t) && t >= 1))
    stop(`--threads is '${options.threads}'; it must be whole numbers from 1, or all, with commas between`);
const { found, left } = pairs();
for (const line of left)
    say(`left out: ${line}`);
const machine = `${about.cpu.name.toLowerCase().replace(/\((r|tm)\)/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}-${cores}c`;
const output = options.output || join(root, "bench/results", machine);
const commandLine = ["bench/peers-cpu/run.sh", ...Object.keys(defaults).filter(o => !["cache", "output"].includes(o) && options[o] !== defaults[o])
    .flatMap(o => [`--${o}`, o === "tiny" ? "DIR" : options[o]])].join(" ");

// After every block, so that a run which is cut short leaves what it has.
function write(blocks) {
    const results = {
        kind: "peers-cpu", command: commandLine, commit: git("rev-parse", "HEAD"), changed_files: git("status", "--porcelain", "-uno", "--", "src", "kernels", "bench/peers-cpu") !== "",
        date: new Date().toISOString().slice(0, 10), passes: Number(options.passes),
        machine: { cpu: about.cpu.name, instructions: about.cpu.instructions, physical_cores: cores, processors: cpus().length, memory_bytes: about.machine.memory_bytes, system: about.machine.system },
        dotnet: about.versions.dotnet, node: process.version, peer: { package: `node-llama-cpp ${release}`, ...blocks.find(b => b.about)?.about },
        left_out: left, blocks: blocks.map(({ about: _, ...rest }) => rest),
    };
    mkdirSync(output, { recursive: true });
    writeFileSync(join(output, "peers-cpu.json"), `${JSON.stringify(results, null, 1)}\n`);
    writeFileSync(join(output, "peers-cpu.md"), page(results));
    writeFileSync(join(output, "peers-cpu.svg"), picture(results));
    return results;
}

const blocks = [];
let results = write(blocks);
for (const pair of found) {
    for (const threads of threadCounts) {
        if (isOverBudget()) {
            left.push(`${pair.model}, ${pair.ourFormat} against ${pair.peerFormat}, ${threads} thread(s): --budget-s ${options["budget-s"]} was over`);
            say(`left out: ${left.at(-1)}`);
        } else {
            blocks.push(await steadyBlock(pair, threads));
        }
        results = write(blocks);
    }
}
process.stdout.write(summary(results));
say(`written: ${relative(process.cwd(), output) || "."}/peers-cpu.{json,md,svg}`);
