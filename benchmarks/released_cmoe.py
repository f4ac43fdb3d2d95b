"""Perplexity of what CMoE's released code makes of the default model untrained, in float32, one draw a seed.

usage: python benchmarks/released_cmoe.py --code CMOE --data DIR [--shape S1A3E8] [--seeds 0,1,2]

CMOE holds CMoE_utils.py and CMoE_model.py of github.com/JarvisPei/CMoE, run as they are but for the device; DIR holds
WikiText-2 raw. A seed draws the calibration windows as that code does, and the order of each layer's neurons (0: as
they are), which decides where activation rates tie. What moebench makes of it, with draws of its own:
  moebench run sweeps/published_code.toml --data DIR --set method=cmoe --set seeds=0,1,2
Prints a line of JSON a seed, then mean and sample standard deviation. Wants scripts/quickstart to have run, and a
Python with torch==2.11.0 transformers==5.17.0 gguf==0.19.0 accelerate==1.15.0 lap==0.5.13.
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time
import types

import torch
import transformers

WINDOW = 2048
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MOEBENCH_CACHE")
                     or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "moebench")


def released_module(folder, name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile((folder / f"{name}.py").read_text().replace("'cuda'", "'cpu'"), name, "exec"), module.__dict__)
    return module


def token_ids(path):
    """The rows of the file joined as the released loaders join them: blank lines are empty rows."""
    rows = ["" if not line.strip() else line + "\n" for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    command = [REPOSITORY / "build/release/moebench", "tokenize", "--model", "smollm2-135m"]
    answer = subprocess.run(command, check=True, input=json.dumps("\n\n".join(rows)), text=True, stdout=subprocess.PIPE).stdout
    return torch.tensor(json.loads(answer))


class AttentionInTurns(torch.nn.Module):
    """Attention as the released code calls it, sequence by sequence, and with the angles that transformers now wants."""

    def __init__(self, attention, angles):
        super().__init__()
        self.attention, self.angles, self.layer_idx = attention, angles, attention.layer_idx

    def forward(self, hidden_states, attention_mask, position_ids):
        return [torch.cat([self.attention(hidden_states=sequence, position_embeddings=self.angles,
                                          attention_mask=attention_mask)[0] for sequence in hidden_states.split(1)])]


@torch.no_grad()
def convert(utilities, model, windows, shared, active, experts):
    positions = torch.arange(WINDOW)[None]
    hidden = model.model.embed_tokens(windows)
    angles = model.model.rotary_emb(hidden[:1], positions)
    for layer in model.model.layers:
        attention = layer.self_attn
        layer.self_attn = AttentionInTurns(attention, angles)
        hidden = utilities.construct_moe(layer, hidden, None, positions, experts, active, shared,
                                         types.SimpleNamespace(k_act=10, bias_speed=1e-3))
        layer.self_attn = attention


def reorder_neurons(model, seed):
    order = torch.randperm(model.config.intermediate_size, generator=torch.Generator().manual_seed(seed))
    for layer in model.model.layers:
        for rows in layer.mlp.gate_proj, layer.mlp.up_proj:
            rows.weight.data = rows.weight.data[order].clone()
        layer.mlp.down_proj.weight.data = layer.mlp.down_proj.weight.data[:, order].clone()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--shape", default="S1A3E8")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--windows", type=int, default=10, help="of the test text, 2048 tokens each")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shape = re.fullmatch(r"S(\d+)A(\d+)E(\d+)", arguments.shape) or parser.error(f"--shape {arguments.shape}: not like S1A3E8")
    shared, active, experts = map(int, shape.groups())
    sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = types.ModuleType("matplotlib")  # for plots it does not draw
    sys.modules["matplotlib"].pyplot = sys.modules["matplotlib"]
    released_module(arguments.code, "CMoE_model")
    utilities = released_module(arguments.code, "CMoE_utils")

    calibration = token_ids(arguments.data / "wiki.valid.raw")
    test = token_ids(arguments.data / "wiki.test.raw")[:arguments.windows * WINDOW].view(-1, WINDOW)
    folder = CACHE / "models/smollm2-135m"
    perplexities = []
    for seed in map(int, arguments.seeds.split(",")):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=next(folder.glob("*.gguf")).name, dtype=torch.float32).eval()
        if seed:
            reorder_neurons(model, seed)
        random.seed(seed)
        starts = [random.randint(0, len(calibration) - WINDOW - 1) for _ in range(8)]
        started = time.perf_counter()
        convert(utilities, model, torch.stack([calibration[start:start + WINDOW] for start in starts]), shared, active, experts)
        seconds = time.perf_counter() - started
        with torch.inference_mode():
            nlls = [torch.nn.functional.cross_entropy(model(window[None]).logits[0, :-1], window[1:]).item()
                    for window in test]
        perplexities.append(float(torch.tensor(nlls, dtype=torch.float64).mean().exp()))
        print(json.dumps({"shape": arguments.shape, "seed": seed, "conversion_seconds": round(seconds, 1),
                          "perplexity": perplexities[-1], "window_nlls": nlls}), flush=True)
    spread = f" ± {statistics.stdev(perplexities):.2f}" if len(perplexities) > 1 else ""
    print(f"{arguments.shape}: {statistics.fmean(perplexities):.2f}{spread} ({len(perplexities)} seeds)")


if __name__ == "__main__":
    main()
