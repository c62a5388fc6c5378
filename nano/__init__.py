"""Training of the nano base from speech to a folder of weights, in resumable stages."""
