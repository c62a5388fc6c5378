"""Weight files: read safely, load strictly, write ours or upstream's form."""
