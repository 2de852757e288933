"""The preflight on set-ups that nobody here had seen: a member of each kind, told by its own check, and sound twins left alone."""

import foreign
import pytest
from test_preflight import alarms_of

ONE_EACH = {setup.name.partition(" · ")[0]: setup for setup in foreign.FAULTS if "loop:" in setup.name or "model:" in setup.name}  # fmt: skip
TWINS = [setup for setup in foreign.SOUND if "habit" in setup.name or "shape" in setup.name][::5]


@pytest.mark.slow
@pytest.mark.parametrize("setup", ONE_EACH.values(), ids=ONE_EACH)
def test_a_fault_of_a_loop_or_of_a_model_is_told_by_its_own_check(setup, elsewhere):
    assert {*alarms_of(setup, elsewhere)} & {*setup.found}


@pytest.mark.slow
@pytest.mark.parametrize("setup", TWINS, ids=lambda setup: setup.name)
def test_a_sound_habit_raises_no_alarm(setup, elsewhere):
    assert {*alarms_of(setup, elsewhere)} <= {*setup.besides}
