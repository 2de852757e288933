"""Callbacks that ship: TensorBoard, MLflow, W&B, Trackio, a webhook, a command.

A tracker's library is imported when its object is made, in the callback's own thread.
"""
