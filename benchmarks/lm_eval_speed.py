"""Items per second of downstream tasks, moebench beside lm-evaluation-harness: same weights, documents, shots, threads.

usage: python benchmarks/lm_eval_speed.py --model FOLDER --data FOLDER [--dtype float32] [--turns 3] [--threads N] [JOB...]

  --model  a Hugging Face folder (safetensors and tokenizer.json), read by both
  --data   a folder of task data, as scripts/fetch tasks makes one; arc_* few-shot want its train.jsonl as well

The two take turns, a process each; of both the evaluation is timed that their results file states, without start and
loading of the model: building requests, scoring, metrics. lm-eval gets the batch size of --batch-size (8). Prints every
turn as a line of JSON, then a line a job with the median ratio of pairs; stops if the accuracies differ (in float32).
Wants a Python with torch==2.11.0 transformers==5.17.0 lm_eval==0.4.13, and build/release/moebench.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
JOBS = {  # name: tasks, shots, documents of each task, folder of data
    "hellaswag-0": (["hellaswag"], 0, 200, "hellaswag"),
    "arc_easy-25": (["arc_easy"], 25, 50, "arc_easy"),
    "arc_challenge-25": (["arc_challenge"], 25, 50, "arc_challenge"),
    "mmlu-5": (["mmlu_abstract_algebra", "mmlu_high_school_geography", "mmlu_marketing"], 5, 50, "mmlu"),
}


def data_files(folder, subject, scratch):
    """Of each split; of one subject where there are several in a file."""
    files = {}
    for split in ("train", "dev", "validation", "test"):
        path = folder / f"{split}.jsonl"
        if not path.exists():
            continue
        files[split] = str(path)
        if subject:
            files[split] = str(scratch / f"{subject}-{split}.jsonl")
            with open(path, encoding="utf-8", newline="\n") as source, open(files[split], "w", encoding="utf-8") as part:
                part.writelines(line for line in source if json.loads(line)["subject"] == subject)
    return files


def lm_eval_process(arguments, job):
    """In a process of its own: prints seconds and accuracies. Of lm-eval's task files only the data source is replaced."""
    import datasets
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(arguments.threads)
    tasks, shots, limit, folder = JOBS[job]
    with tempfile.TemporaryDirectory() as scratch:
        datasets.config.HF_DATASETS_CACHE = pathlib.Path(scratch)
        task_files = {name: entry.yaml_path for name, entry in TaskManager().task_index.items()}
        for task in tasks:
            subject = task.removeprefix("mmlu_") if folder == "mmlu" else None
            files = data_files(pathlib.Path(arguments.data) / folder, subject, pathlib.Path(scratch))
            pathlib.Path(scratch, f"{task}.yaml").write_text(json.dumps(
                {"include": str(task_files[task]), "task": task, "dataset_path": "json", "dataset_name": None,
                 "dataset_kwargs": {"data_files": files}, "training_split": "train" if "train" in files else None}))
        model = HFLM(pretrained=arguments.model, dtype=arguments.dtype, batch_size=arguments.batch_size, device="cpu")
        started = time.perf_counter()
        results = simple_evaluate(model, tasks=tasks, task_manager=TaskManager(include_path=scratch), num_fewshot=shots,
                                  limit=limit, log_samples=False)["results"]
        print(json.dumps({"seconds": time.perf_counter() - started, "accuracies": accuracies(results, tasks)}))


def accuracies(results, tasks):
    return {f"{task}/{metric}": results[task][f"{metric},none"] for task in tasks for metric in ("acc", "acc_norm")
            if f"{metric},none" in results[task]}


def lm_eval_turn(arguments, job):
    command = [sys.executable, __file__, *sys.argv[1:], "--lm-eval-process", job]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if run.returncode != 0:
        sys.exit(run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def moebench_turn(arguments, job):
    tasks, shots, limit, _ = JOBS[job]
    command = [REPOSITORY / "build/release/moebench", "--threads", str(arguments.threads), "eval", "--json",
               "--model", arguments.model, "--dtype", arguments.dtype, "--data", arguments.data,
               "--tasks", ",".join(tasks), "--num-fewshot", str(shots), "--limit", str(limit)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    results = json.loads(run.stdout)["lm_eval"]
    return {"seconds": float(results["total_evaluation_time_seconds"]),
            "accuracies": accuracies(results["results"], tasks)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; default: all")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--lm-eval-process", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.lm_eval_process:
        return lm_eval_process(arguments, arguments.lm_eval_process)

    for job in arguments.jobs or JOBS:
        ratios = []
        for turn in range(arguments.turns):
            sides = [("moebench", moebench_turn), ("lm_eval", lm_eval_turn)]
            found = {name: run(arguments, job) for name, run in (sides if turn % 2 == 0 else reversed(sides))}
            ours, theirs = found["moebench"], found["lm_eval"]
            print(json.dumps({"job": job, "turn": turn, **found}), flush=True)
            if arguments.dtype == "float32" and ours["accuracies"] != theirs["accuracies"]:
                sys.exit(f"{job}: the two do not agree")
            ratios.append(theirs["seconds"] / ours["seconds"])
        print(json.dumps({"job": job, "dtype": arguments.dtype, "median_ratio": statistics.median(ratios),
                          "least": min(ratios), "largest": max(ratios)}), flush=True)


if __name__ == "__main__":
    main()
