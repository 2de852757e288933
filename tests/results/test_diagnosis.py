"""What trials say together rests on what they trained, and not on how their code broke."""

import pytest
from kit import search

PROGRAM = """
import json, math, sys
rate, seed = float(sys.argv[1]), int(sys.argv[2])
if rate == 0.3 and sys.argv[3] == "broken":
    sys.exit("no such file")
lost = math.nan if rate == 0.3 else -math.log10(rate)
print(json.dumps({"epoch": 1, "val_loss": lost + seed / 100, "train_loss": lost}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["broken", "diverged"])
def test_a_rate_whose_trials_broke_by_an_error_of_their_code_has_not_diverged(how, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = search(
        "own_command",
        f"trainer.command=['{{python}}',program.py,'{{optimizer.lr}}','{{seed}}',{how}]",
        "knob.optimizer.lr=choice(0.05,0.1,0.3)",
        *("optimizer.lr=0.05", "trainer.epochs=1", "seeds=3", "metric.name=val_loss"),
        *("metric.direction=minimize", "protocol.extend=0", "protocol.refine=0"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = "optimizer.lr = 0.1 is best and 0.3, 3 times as high, diverges"
    assert (said in done.stdout) == (how == "diverged"), done.stdout
