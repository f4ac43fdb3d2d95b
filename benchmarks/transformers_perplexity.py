"""Tokens per second of perplexity (GPTQ's windows), moebench beside transformers: same weights, text, windows, threads.

usage: python benchmarks/transformers_perplexity.py [--dtype float32] [--windows 3] [--repetitions 5] [--threads N]

The two take turns; loading is not counted on either side. Prints every turn as a line of JSON, then the median ratio.
Stops if they do not agree on the perplexity. Wants scripts/quickstart to have run, and a Python with
torch==2.11.0 transformers==5.23.0 gguf==0.19.0.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
import transformers

WINDOW = 2048
AGREEMENT = {"float32": 1e-3, "bfloat16": 2e-2}  # of the mean negative log-likelihood, nats
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MOEBENCH_CACHE")
                     or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "moebench")


def moebench_turn(text, arguments):
    command = [REPOSITORY / "build/release/moebench", "--threads", str(arguments.threads), "eval", "--json",
               "--model", "smollm2-135m", "--dtype", arguments.dtype, "--tasks", "perplexity",
               "--set", f"perplexity.text={text}", "--set", f"perplexity.window={WINDOW}",
               "--set", f"perplexity.max_windows={arguments.windows}"]
    task = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)["tasks"][0]
    nll = next(metric["value"] for metric in task["metrics"] if metric["name"].endswith("/nll"))
    return task["seconds"], nll


@torch.inference_mode()
def transformers_turn(model, windows):
    started = time.perf_counter()
    sums = [torch.nn.functional.cross_entropy(model(window[None]).logits[0, :-1].float(), window[1:]).item()
            for window in windows]
    return time.perf_counter() - started, statistics.fmean(sums)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=AGREEMENT, default="float32")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    folder = CACHE / "models/smollm2-135m"
    weights = next(folder.glob("*.gguf")).name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=weights)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=weights, dtype=getattr(torch, arguments.dtype)).eval()
    with open(CACHE / "text/wiki-passages-test.jsonl", encoding="utf-8") as lines:
        text = "\n\n".join(json.loads(line)["text"] for line in lines)
    ids = tokenizer(text, return_tensors="pt").input_ids[0]
    windows = [ids[start:start + WINDOW] for start in range(0, arguments.windows * WINDOW, WINDOW)]

    ratios = []
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        transformers_turn(model, windows[:1])  # warms it up; moebench starts cold every time
        for _ in range(arguments.repetitions):
            ours, our_nll = moebench_turn(file.name, arguments)
            theirs, their_nll = transformers_turn(model, windows)
            if not math.isclose(our_nll, their_nll, abs_tol=AGREEMENT[arguments.dtype], rel_tol=0):
                raise SystemExit(f"they disagree: {our_nll} and {their_nll} nats a token")
            tokens = arguments.windows * WINDOW
            ratios.append(theirs / ours)
            print(json.dumps({"dtype": arguments.dtype, "threads": arguments.threads,
                              "moebench_tokens_per_second": round(tokens / ours),
                              "transformers_tokens_per_second": round(tokens / theirs),
                              "moebench_nll": our_nll, "transformers_nll": their_nll}), flush=True)
    print(f"moebench / transformers: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
          f"median and range of {len(ratios)} paired turns")


main()
