"""What a signature looks like and where it stands: fonts, pictures, stamps, geometry, survey and placement. Touches no key."""
