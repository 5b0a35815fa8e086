"""Joins the logs of one GPU run into <output>.json and <output>.md; every bandwidth also as a fraction of the measured ceiling."""

import argparse
import json
import pathlib


def read(path):
    """The JSON value in a file, or None when there is none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def fraction(value, ceiling):
    return f"{value / ceiling:.0%}" if value and ceiling else "–"


def kernel_rows(kernels, ceiling):
    yield "| kernel | shape | median µs | GB/s | of read ceiling | error |"
    yield "|---|---|---|---|---|---|"
    for k in kernels or []:
        speed = k["gigabytes_per_second"]
        yield f"| {k['name']} | {k['shape']} | {k['median_us']:.1f} | {speed:.1f} | {fraction(speed, ceiling)} | {k['error']:.1e} |"


def peer_rows(results, ceiling):
    yield "| peer | µs | GB/s | of read ceiling |"
    yield "|---|---|---|---|"
    for part in results.values():
        if isinstance(part, dict):
            for name, value in part.items():
                if isinstance(value, dict) and "us" in value:
                    yield f"| {name} | {value['us']:.1f} | {value['gb_per_s']:.1f} | {fraction(value['gb_per_s'], ceiling)} |"


def decode_row(name, decode, ceiling):
    """Decoding reads every weight once a token."""
    if not decode:
        return f"- {name}: not measured"
    tokens = decode["decode_tokens_per_second"]["median"]
    speed = tokens * decode["weight_bytes"] / 1e9
    return f"- {name}: {tokens:.1f} tokens/s of {decode['model']}, {speed:.2f} GB/s of weights, {fraction(speed, ceiling)} of the read ceiling"


def last_line(path):
    """The JSON value in the last line of a log."""
    try:
        return json.loads(path.read_text().strip().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gpu", "commit", "command"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    kernels = read(arguments.logs / "kernels.json")
    peers = read(arguments.logs / "peers.json") or {"results": {}, "skipped": {}}
    decode = last_line(arguments.logs / "decode.log")
    plain = last_line(arguments.logs / "decode-without-graphs.log")
    ceilings = {k["name"] + "_gb_per_s": k["gigabytes_per_second"] for k in read(arguments.logs / "ceilings.json") or []}
    ceilings |= {f"torch_{name}": value for name, value in peers["results"].get("ceilings", {}).items()}
    document = {
        "gpu": arguments.gpu, "commit": arguments.commit, "command": arguments.command,
        "ceilings": ceilings, "kernels": kernels, "peers": peers, "decode": decode,
        "decode_without_graphs": plain,
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(document, indent=1))
    ceiling = max(ceilings.get("ceiling_read_gb_per_s", 0), ceilings.get("torch_read_gb_per_s", 0))
    lines = [f"# {arguments.gpu}", "", f"`{arguments.command}` at commit {arguments.commit}.", ""]
    lines += [f"- {name}: {value:.1f}" for name, value in ceilings.items()] or ["- no ceilings measured: " + peers["skipped"].get("torch", "no peer run")]
    lines += ["", decode_row("decode with graphs", decode, ceiling), decode_row("decode without graphs", plain, ceiling)]
    lines += ["", *kernel_rows(kernels, ceiling), "", *peer_rows(peers["results"], ceiling), ""]
    lines += [f"- skipped {name}: {reason}" for name, reason in peers["skipped"].items()]
    arguments.output.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
