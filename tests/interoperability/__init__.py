"""What programs that are not ours say of our files."""
