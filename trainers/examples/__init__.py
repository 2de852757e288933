"""Complete trainers to copy from; `conf/experiment/own_*.yaml` run them."""
