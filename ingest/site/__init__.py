"""Static pages for people: one HTML file each, no script, nothing from the network."""
