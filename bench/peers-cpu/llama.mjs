// One measurement of llama.cpp, in a process of its own: node llama.mjs '{"cache", "file", "threads", "promptTokens", "decodeTokens", "runs", "parts"}'.
// Prints JSON: tokens per second of each run. A run is a prompt up to its first token, then so many further tokens, greedy.
import { pathToFileURL } from "node:url";

const { cache, file, threads, promptTokens, decodeTokens, runs, parts } = JSON.parse(process.argv[2]);
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(`${cache}/node_modules/node-llama-cpp/dist/index.js`));

const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, checkTensors: false });
const context = await model.createContext({ contextSize: promptTokens + decodeTokens + 64, batchSize: promptTokens, threads, sequences: 1 });
const sequence = context.getSequence({ checkpoints: { max: 0, interval: false } });

let seed = promptTokens;
function randomToken() {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * Math.min(model.fileInfo.metadata.tokenizer.ggml.tokens.length, 248000) * 0.99);
}

// Sampling stays native: no probabilities come back to JavaScript, one call a token does.
async function run(prompt, tokens, pieces) {
    await sequence.clearHistory();
    const rates = [];
    let count = 0;
    let piece = 0;
    let start = performance.now();
    let prefill;
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        if (!(token >= 0))
            throw new Error(`llama.cpp sampled ${token}`);
        const now = performance.now();
        if (count === 0) {
            prefill = prompt.length / (now - start) * 1e3;
            start = now;
        } else if (count === Math.floor((piece + 1) * tokens / pieces)) {
            rates.push((count - Math.floor(piece * tokens / pieces)) / (now - start) * 1e3);
            piece++;
            start = now;
        }
        if (count++ === tokens)
            break;
    }
    return { prefill, decode: rates };
}

async function checkLogits() {
    const iterator = sequence.evaluateWithMetadata([randomToken(), randomToken()], { probabilities: true }, { temperature: 0, yieldEogToken: true });
    const { value } = await iterator.next();
    await iterator.return();
    const probabilities = [...value.probabilities.values()];
    if (probabilities.length < 2 || !probabilities.every(Number.isFinite) || probabilities[0] === probabilities.at(-1))
        throw new Error("llama.cpp's probabilities are not finite, or all the same; nothing is timed");
}

const prompt = Array.from({ length: promptTokens }, randomToken);
await checkLogits();
await run(runs > 1 ? prompt : prompt.slice(0, 64), runs > 1 ? decodeTokens : 4, 1);
const results = [];
for (let i = 0; i < runs; i++)
    results.push(await run(prompt, decodeTokens, parts));
console.log(JSON.stringify({
    prefill: results.map(r => r.prefill),
    decode: results.flatMap(r => r.decode),
    threads: context.currentThreads,
    flashAttention: context.flashAttention,
    system: llama.systemInfo,
    release: llama.llamaCppRelease?.release,
}));
process.exit(0);
