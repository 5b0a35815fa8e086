// Results of measure.mjs as Markdown and as a picture.

const STAGES = ["decode", "prefill"];
const ROW = 34;
const LEFT = 350;
const WIDTH = 920;
const PLOT = 370;

// The ratios that the picture's scale begins with and that it is marked at.
const LEAST = 0.5;
const MARKS = [0.5, 1, 2, 4, 8, 16, 32, 64];

const rounded = x => x === null || x === undefined ? "–" : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
const spread = rate => rate.ratio === null ? "–" : `${rate.ratio_min.toFixed(2)}–${rate.ratio_max.toFixed(2)}`;
const threadsOf = block => `${block.threads} thread${block.threads === 1 ? "" : "s"}`;
const marks = block => `${block.unsteady ? " ⚠" : ""}${block.decode.ours.all.length === 0 ? " ✗" : ""}`;

function table(results) {
    const lines = [
        "| model | ours / llama.cpp | threads | stage | ours, tok/s | llama.cpp, tok/s | ours / llama.cpp | of single passes | ours, MB a token, GB/s | llama.cpp, MB a token, GB/s | stream read, GB/s |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ];
    for (const block of results.blocks) {
        for (const stage of STAGES) {
            const rate = block[stage];
            const moved = side => side.bytes_per_token && side.tokens_per_second ? `${(side.bytes_per_token / 1e6).toFixed(0)}, ${rounded(side.gb_per_s)}` : "–";
            const tokens = stage === "decode" ? block.decode_tokens : block.prompt_tokens;
            lines.push(`| ${block.model}${marks(block)} | ${block.our_format} / ${block.peer_format} | ${block.threads} | ${stage} ${tokens} | ${rounded(rate.ours.tokens_per_second)} `
                + `| ${rounded(rate.peer.tokens_per_second)} | **${rate.ratio === null ? "–" : rate.ratio.toFixed(2)}** | ${spread(rate)} | ${moved(rate.ours)} | ${moved(rate.peer)} `
                + `| ${block.stream_gb_per_s.map(rounded).join(" → ")} |`);
        }
    }
    return lines.join("\n");
}

function remarks(results) {
    const lines = results.left_out.map(l => `- Left out: ${l}.`);
    for (const block of results.blocks) {
        const name = `${block.model}, ${block.our_format}, ${threadsOf(block)}`;
        if (block.unsteady)
            lines.push(`- ⚠ ${name}: the stream read changed by ${(block.stream_change * 100).toFixed(0)} % meanwhile${block.repeated ? ", also when measured again" : ""}; the machine was not quiet.`);
        if (block.decode.ours.all.length < results.passes)
            lines.push(`- ${name}: ${block.decode.ours.all.length} of ${results.passes} passes.`);
        for (const failure of block.failures)
            lines.push(`- ✗ ${name}: ${failure}.`);
    }
    return lines.join("\n");
}

/** The table and what must be said about it. */
export function summary(results) {
    const rest = remarks(results);
    return `${table(results)}\n${rest === "" ? "" : `\n${rest}\n`}`;
}

/** The page, which shows the picture too. */
export function page(results) {
    const { machine, peer } = results;
    const loads = results.blocks.flatMap(b => b.load_average);
    return `# CPU: ours and llama.cpp in turn

${machine.cpu} (${machine.instructions}), ${machine.physical_cores} cores, ${(machine.memory_bytes / 2 ** 30).toFixed(0)} GiB, ${machine.system}; .NET ${results.dotnet}, node ${results.node}.
llama.cpp ${peer.release ?? "?"} by ${peer.package}. Commit ${results.commit.slice(0, 12)}${results.changed_files ? " with changes" : ""}, ${results.date}: \`${results.command}\`.
Load average ${loads.length === 0 ? "–" : `${Math.min(...loads)}–${Math.max(...loads)}`}.

![ours / llama.cpp](peers-cpu.svg)

${summary(results)}
Medians of ${results.passes} passes where nothing else is said, each a process of either side, the order swapped from pass to pass; the ratio is that of the medians, the next
column its smallest and largest value in one pass. What is compared, and what to keep in mind: [bench/peers-cpu](../../peers-cpu/README.md).
`;
}

const escaped = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
const label = (x, y, text, more = "") => `<text x="${x}" y="${y}" ${more}>${escaped(text)}</text>`;

/** A bar for each ratio of medians, by its logarithm from where both are equal, and a whisker from the smallest to the largest of single passes. */
export function picture(results) {
    const rows = results.blocks.flatMap(block => STAGES.map(stage => ({ block, stage, rate: block[stage] }))).filter(r => r.rate.ratio !== null);
    const most = Math.max(2, ...rows.map(r => r.rate.ratio_max)) * 1.05;
    const least = Math.min(LEAST, ...rows.map(r => r.rate.ratio_min));
    const x = ratio => LEFT + Math.log(ratio / least) / Math.log(most / least) * PLOT;
    const height = 70 + rows.length * ROW;
    const parts = [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
        `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
        label(10, 22, `Tokens a second, ours / llama.cpp: ${results.machine.cpu}, ${results.machine.physical_cores} cores, ${results.date}`, 'font-size="15"'),
    ];
    rows.forEach(({ block, stage, rate }, i) => {
        const y = 44 + i * ROW;
        const middle = y + 10;
        parts.push(
            label(10, y + 14, `${block.model}, ${block.our_format.split(",")[0]} / ${block.peer_format.split(",")[0]}, ${threadsOf(block)}, ${stage}${marks(block)}`),
            `<rect x="${Math.min(x(1), x(rate.ratio)).toFixed(1)}" y="${y}" width="${Math.abs(x(rate.ratio) - x(1)).toFixed(1)}" height="20" fill="${stage === "decode" ? "#3b6ea5" : "#a5723b"}"/>`,
            `<path d="M${x(rate.ratio_min).toFixed(1)} ${middle}H${x(rate.ratio_max).toFixed(1)}" stroke="black"/>`,
            label(LEFT + PLOT + 10, y + 14, `${rate.ratio.toFixed(2)}  (${rounded(rate.ours.tokens_per_second)} / ${rounded(rate.peer.tokens_per_second)} tok/s)`));
    });
    for (const ratio of MARKS.filter(m => m >= least && m <= most)) {
        parts.push(
            `<path d="M${x(ratio).toFixed(1)} 36V${height - 22}" stroke="${ratio === 1 ? "black" : "#ccc"}" stroke-dasharray="4 3"/>`,
            label(x(ratio).toFixed(1), height - 8, ratio === 1 ? "equal" : `${ratio} ×`, 'text-anchor="middle"'));
    }

    parts.push("</svg>");
    return `${parts.join("\n")}\n`;
}
