"""The ways through a network: up, the forward pass; down, decoding and the gradient."""
