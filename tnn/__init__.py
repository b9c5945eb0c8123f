"""PyTorch's torch.nn for the CPU: NumPy arrays hold the data, Numba compiles the loops."""
