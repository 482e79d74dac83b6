"""What the command line of the runtimes is made of. It alone knows both runtimes, each only once it is asked for."""
