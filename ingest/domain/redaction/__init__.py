"""Personal details: what they are, and how they are taken out of a talk."""
