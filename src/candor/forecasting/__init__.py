"""What optimising a reward will do to a policy, from samples of that policy: arrays in, numbers with intervals out."""
