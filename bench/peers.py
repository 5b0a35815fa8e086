"""What the same GPU does with others' code: ceilings, PyTorch's matmuls, and transformers' own model where it is there.

Times are medians of CUDA-event measurements over buffers that together exceed the L2 cache. Anything missing is named
in the output under "skipped", never guessed.
"""

import argparse
import json
import pathlib
import struct

# N, K of Qwen3.6-27B's linears.
SHAPES = {"gate_proj": (17408, 5120), "down_proj": (5120, 17408), "in_proj_qkv": (10240, 5120), "out_proj": (5120, 6144)}
ROTATED_BYTES = 1 << 30


def median_us(torch, calls):
    """Median time of one call, each over operands of its own."""
    for call in calls[:3]:
        call()
    torch.cuda.synchronize()
    times = []
    for _ in range(3):
        for call in calls:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            call()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) * 1e3)
    return sorted(times)[len(times) // 2]


def ceilings(torch):
    elements = 1 << 28
    source = torch.randn(elements, device="cuda")
    target = torch.empty_like(source)
    copy_us = median_us(torch, [lambda: target.copy_(source)] * 8)
    read_us = median_us(torch, [lambda: torch.sum(source)] * 8)
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    matmul_us = median_us(torch, [lambda: a @ b] * 4)
    return {
        "copy_gb_per_s": 8 * elements / copy_us / 1e3,
        "read_gb_per_s": 4 * elements / read_us / 1e3,
        "bf16_matmul_tflops": 2 * 8192**3 / matmul_us / 1e6,
    }


def linears(torch, rows):
    results = {}
    for name, (n, k) in SHAPES.items():
        copies = max(2, min(16, ROTATED_BYTES // (n * k * 2)))
        weights = [torch.randn(n, k, device="cuda", dtype=torch.bfloat16) for _ in range(copies)]
        x = torch.randn(rows, k, device="cuda", dtype=torch.bfloat16)
        us = median_us(torch, [lambda w=w: torch.nn.functional.linear(x, w) for w in weights])
        results[f"bf16_linear {name} M={rows}"] = {"us": us, "gb_per_s": n * k * 2 / us / 1e3, "tflops": 2 * rows * n * k / us / 1e6}
    return results


def int4_linears(torch, rows):
    results = {}
    for name, (n, k) in SHAPES.items():
        copies = max(2, min(32, ROTATED_BYTES // (n * k // 2)))
        x = torch.randn(rows, k, device="cuda", dtype=torch.bfloat16)
        calls = []
        for _ in range(copies):
            codes = torch.randint(0, 256, (n, k // 2), device="cuda", dtype=torch.uint8)
            packed = torch.ops.aten._convert_weight_to_int4pack(codes, 8)
            scales = torch.rand(k // 128, n, 2, device="cuda", dtype=torch.bfloat16)
            calls.append(lambda p=packed, s=scales: torch.ops.aten._weight_int4pack_mm(x, p, 128, s))
        us = median_us(torch, calls)
        results[f"int4pack_mm {name} M={rows}"] = {"us": us, "gb_per_s": n * k / 2 / us / 1e3, "tflops": 2 * rows * n * k / us / 1e6}
    return results


def transformers_logits(torch, model_directory, golden_directory):
    """Largest difference between transformers' float32 logits of golden prompt 0 and the golden ones."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(model_directory, dtype=torch.float32).to("cuda")
    ids = json.loads((golden_directory / "tiny-qwen3.6.json").read_text())[0]["ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids], device="cuda")).logits[0].float().cpu()
    raw = (golden_directory / "tiny-qwen3.6.safetensors").read_bytes()
    header_bytes = struct.unpack("<Q", raw[:8])[0]
    entry = json.loads(raw[8 : 8 + header_bytes])["0.logits"]
    begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
    golden = torch.frombuffer(bytearray(raw[begin:end]), dtype=torch.float32).reshape(entry["shape"])
    return {"transformers": transformers.__version__, "max_logit_difference": (logits - golden).abs().max().item()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--golden", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    results, skipped = {}, {}
    try:
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError("torch sees no CUDA device")
    except Exception as error:  # whatever keeps torch from working is the reason
        skipped["torch"] = str(error)
    else:
        results["torch"] = torch.__version__
        parts = {
            "ceilings": lambda: ceilings(torch),
            **{f"linear M={m}": lambda m=m: linears(torch, m) for m in (1, 64, 256, 512, 2048)},
            **{f"int4 M={m}": lambda m=m: int4_linears(torch, m) for m in (1, 16, 64, 256, 512, 2048)},
            "transformers": lambda: transformers_logits(torch, arguments.model, arguments.golden),
        }
        for name, part in parts.items():
            try:
                results[name] = part()
            except Exception as error:
                skipped[name] = f"{type(error).__name__}: {error}"
            torch.cuda.empty_cache()
    arguments.output.write_text(json.dumps({"results": results, "skipped": skipped}, indent=1))
    print(json.dumps(results, indent=1))
    for name, reason in skipped.items():
        print(f"skipped {name}: {reason}")


if __name__ == "__main__":
    main()
