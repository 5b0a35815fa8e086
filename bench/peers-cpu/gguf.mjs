// Bytes that one decoded token moves through llama.cpp, from the head of a GGUF file of architecture qwen35.
import { closeSync, openSync, readSync } from "node:fs";

const HEAD_BYTES = 1 << 25;
const SCALARS = {
    0: ["readUInt8", 1], 1: ["readInt8", 1], 2: ["readUInt16LE", 2], 3: ["readInt16LE", 2], 4: ["readUInt32LE", 4], 5: ["readInt32LE", 4],
    6: ["readFloatLE", 4], 7: ["readUInt8", 1], 10: ["readBigUInt64LE", 8], 11: ["readBigInt64LE", 8], 12: ["readDoubleLE", 8],
};

// Bytes of 32 weights.
const BYTES_OF_32 = { 0: 128, 1: 64, 2: 18, 8: 34, 30: 64 };

function readHead(path) {
    const head = Buffer.alloc(HEAD_BYTES);
    const file = openSync(path, "r");
    readSync(file, head, 0, HEAD_BYTES, 0);
    closeSync(file);
    let at = 24;
    const scalar = type => {
        const [read, bytes] = SCALARS[type];
        at += bytes;
        return Number(head[read](at - bytes));
    };
    const text = () => {
        const length = scalar(10);
        at += length;
        return head.toString("utf8", at - length, at);
    };
    const value = type => {
        if (type === 8)
            return text();
        if (type !== 9)
            return scalar(type);
        const element = scalar(4);
        return Array.from({ length: scalar(10) }, () => value(element));
    };

    const metadata = {};
    for (let left = Number(head.readBigUInt64LE(16)); left > 0; left--) {
        const key = text();
        metadata[key] = value(scalar(4));
    }
    const tensors = [];
    for (let left = Number(head.readBigUInt64LE(8)); left > 0; left--) {
        const name = text();
        const dimensions = Array.from({ length: scalar(4) }, () => scalar(10));
        const type = scalar(4);
        scalar(10);
        tensors.push({ name, bytes: dimensions.reduce((a, b) => a * b) / 32 * BYTES_OF_32[type] });
    }
    return { metadata, tensors };
}

/** Weights that are multiplied, f32 states of the delta nets read and written, f16 keys and values up to the context. */
export function bytesPerToken(path, contextTokens) {
    const { metadata, tensors } = readHead(path);
    const of = key => metadata[`qwen35.${key}`] ?? 0;
    const layers = of("block_count") - of("nextn_predict_layers");
    const isTied = !tensors.some(t => t.name === "output.weight");
    const weights = tensors
        .filter(t => t.name === "token_embd.weight" ? isTied : !(Number(/^blk\.(\d+)\./.exec(t.name)?.[1]) >= layers))
        .reduce((sum, t) => sum + t.bytes, 0);
    const attention = Math.floor(layers / of("full_attention_interval"));
    const channels = of("ssm.inner_size") + 2 * of("ssm.group_count") * of("ssm.state_size");
    const state = (of("ssm.inner_size") * of("ssm.state_size") + (of("ssm.conv_kernel") - 1) * channels) * 4 * 2;
    const keysAndValues = 2 * of("attention.head_count_kv") * of("attention.key_length") * 2 * contextTokens;
    return { weights, total: weights + (layers - attention) * state + attention * keysAndValues };
}
