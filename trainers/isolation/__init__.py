"""What a user's code leaves in its process, so that no trial depends on those before it.

Libraries' settings are put back; what else has changed is named, and the process takes no further
trial. `code_state` is the way in.
"""
