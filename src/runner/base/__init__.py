"""What all other rooms use: errors, paths, progress, the terminal, the machine."""
