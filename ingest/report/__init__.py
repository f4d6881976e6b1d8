"""Static pages: one HTML file each, no script, nothing from the network."""
