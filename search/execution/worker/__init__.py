"""What runs inside a worker process: it trains the trials that it is given and reports epochs."""
