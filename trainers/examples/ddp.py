"""A script that trains on several devices by DistributedDataParallel, without any import of
Knobwise.

python -m torch.distributed.run starts it once per device; see search/execution/README.md.
"""

import argparse
import json
import os
import pathlib

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--epochs", type=int, required=True)
options = parser.parse_args()

distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
rank, ranks = distributed.get_rank(), distributed.get_world_size()
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else "cpu"

split = np.load(os.environ["KNOBWISE_SPLIT"])  # row numbers of train and validation
kept = (
    pathlib.Path(os.environ["KNOBWISE_CHECKPOINT"]) / "own.safetensors"
)  # this trial's own folder
x, y = (torch.tensor(array, device=device) for array in load_digits(return_X_y=True))
x = x.float() / 16
torch.manual_seed(options.seed)  # every rank begins with the same weights
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
first = 1
if kept.exists():  # a trial that was interrupted goes on
    with safe_open(kept, framework="pt") as saved:
        model.load_state_dict({name: saved.get_tensor(name) for name in saved.keys()})  # noqa: SIM118
        first = int(saved.metadata()["epoch"]) + 1
parallel = DistributedDataParallel(model.to(device))
optimizer = torch.optim.SGD(parallel.parameters(), lr=options.lr)
for epoch in range(first, options.epochs + 1):
    rows = np.random.default_rng([options.seed, epoch]).permutation(split["train"])
    rows = rows[: len(rows) // ranks * ranks]  # as many steps on every rank
    for batch in torch.tensor(rows[rank::ranks], device=device).split(32):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(parallel(x[batch]), y[batch]).backward()
        optimizer.step()  # with the mean of all ranks' gradients
    if rank == 0:
        val = torch.tensor(split["val"], device=device)
        right = (model(x[val]).argmax(1) == y[val]).float().mean().item()
        print(json.dumps({"epoch": epoch, "accuracy": right}), flush=True)  # first printed …
        save_file(model.state_dict(), kept.with_suffix(".new"), {"epoch": str(epoch)})
        os.replace(kept.with_suffix(".new"), kept)  # … then saved
    distributed.barrier()
distributed.destroy_process_group()
# At once: torch's threads now and then abort an interpreter that takes its time to end.
os._exit(0)
