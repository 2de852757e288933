"""Looks at a training while it runs, whoever wrote it, and tries what a search is about to rely on.
Measures; never judges.

`watch` sees through torch's own hooks what a training does, `steer` takes its rate, penalties and
length over, `run` gives it rows and an end, `questions` puts them together.
"""

SCRATCH = "probe-"  # begins the name of a folder in which a probed training may write
