"""Training: stages of steps, on a device, with generators, threads and processes of its own."""
