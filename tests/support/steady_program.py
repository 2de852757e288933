"""As `toys.steady`, but a program that prints its epochs: `python -m steady_program RATE SEED EPOCHS`."""

import json
import math
import os
import random
import sys
import time
from pathlib import Path

rate, seed, epochs = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
pause = float(os.environ.get("TOY_PAUSE", "0.005"))  # seconds per epoch
kept = Path(os.environ["KNOBWISE_CHECKPOINT"]) / "sum.json"
first, total = json.loads(kept.read_text()) if kept.exists() else (1, 0.0)
for epoch in range(first, epochs + 1):
    time.sleep(pause)
    total += math.sin(total + rate * epoch) + 0.01 * random.Random(f"{seed} {epoch}").gauss(0, 1)
    print(json.dumps({"epoch": epoch, "accuracy": 0.5 + 0.1 * math.tanh(total)}), flush=True)
    kept.with_suffix(".new").write_text(json.dumps([epoch + 1, total]))
    os.replace(kept.with_suffix(".new"), kept)
