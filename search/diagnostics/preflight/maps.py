"""Do the maps that a loss asks lie as their pictures lie (R10, R49)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math

from trainers.probes.told import Answer

FITS, AS_WELL = 0.4, 0.7  # correlation of maps with what pictures say; share of it, turned
MOST, SURE = 0.15, 4.0  # share of the rows beyond that of evaluated ones; standard errors
REMEDY = "let an augmentation of pictures that turns, mirrors or crops do the same to their maps"


def apart(seen: Answer | None) -> tuple[str, str] | None:
    """How train's maps fit their pictures once they are turned or moved, as well as validation's
    fit as they are, which hardly ever need it; and the remedy. None where they do not.
    """
    if seen is None or seen["fits"][0] < FITS or seen["fits"][1] < AS_WELL * seen["fits"][0]:
        return None
    kind = "turned" if seen["turned"][0] >= seen["moved"][0] else "moved"
    way = "turned or mirrored" if kind == "turned" else kind
    taught, held = seen[kind]
    among = (taught + held) / 2
    error = math.sqrt(max(among * (1 - among), 0.01) * sum(1 / rows for rows in seen["rows"]))
    if taught - held < max(MOST, SURE * error):
        return None
    text = f"{taught:.0%} of train's maps fit their pictures better once they are {way}"
    return f"{text}, and {held:.0%} of those evaluated", REMEDY
